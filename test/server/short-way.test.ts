/**
 * A push of the staging branch in which there is nothing to judge: the shell lets it pass and starts no Node. What it lets
 * pass is never anything that `decideStaging` would refuse.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decideStaging } from '../../src/core/decide.ts'
import { gatherStagingMove } from '../../src/git/gather-facts.ts'
import { CURRENT_GIT, TestRepository } from '../make-repository.ts'
import { openRepository } from '../open-repository.ts'
import { seeded } from '../seeded.ts'

const MAIN = 'refs/heads/main'
const LOG = 'docs/RELEASE_LOG.md'
const ZEROS = '0'.repeat(40)

/** In the place of Node, for hooks that are asked whether they would start it. */
function withoutNode(repository: TestRepository): void {
  const recorder = join(repository.folder, 'recorder')
  writeFileSync(recorder, '#!/bin/sh\necho failed; echo ASKED\n', { mode: 0o755 })
  for (const name of ['pre-receive', 'reference-transaction', 'post-receive']) {
    const path = join(repository.bare, 'hooks', name)
    writeFileSync(path, readFileSync(path, 'utf8').replace(/NODE='[^']*'/, `NODE='${recorder}'`))
  }
}

function preReceive(repository: TestRepository, lines: string, env: Record<string, string> = {}) {
  return repository.run(join(repository.bare, 'hooks/pre-receive'), [], {
    cwd: repository.bare,
    env: { GIT_DIR: '.', ...env },
    input: lines,
  })
}

describe.each(CURRENT_GIT === undefined ? (['files'] as const) : (['files', 'reftable'] as const))(
  'with refs in %s',
  (refFormat) => {
    let repository: TestRepository
    beforeAll(() => {
      repository = new TestRepository({ refFormat })
      repository.release('released')
      repository.commit('with a log', { [LOG]: 'one\n', 'src/a b.txt': 'x\n' })
      repository.mustRun(repository.push('main'))
      withoutNode(repository)
    })
    afterAll(() => repository.remove())
    const passes = (...args: Parameters<TestRepository['push']>) => {
      const ran = repository.push(...args)
      expect(ran.all).not.toContain('ASKED')
      expect(ran.code, ran.all).toBe(0)
      expect(repository.ref(MAIN)).toBe(repository.git('rev-parse', 'main'))
    }
    const isAsked = (...args: Parameters<TestRepository['push']>) => {
      const ran = repository.push(...args)
      expect(ran.all).toContain('ASKED')
      expect(ran.code).not.toBe(0)
    }

    test('commits, merges and what others have pushed already go on without Node', () => {
      repository.commit('one')
      passes('main')
      for (let index = 0; index < 5; index++) repository.commit(`more ${index}`)
      passes('main', { args: ['-o', 'note=hello'] })
      repository.git('switch', '-q', '-c', 'topic', 'HEAD~2')
      repository.commit('topic', { 'topic.txt': 'x\n' })
      repository.git('switch', '-q', 'main')
      repository.git('merge', '-q', '--no-ff', '-m', 'merge', 'topic')
      passes('main')
      repository.commit('on a branch first')
      repository.mustRun(repository.push('main:refs/heads/first'))
      passes('main')
    })

    test('everything else is asked about', () => {
      const tip = repository.git('rev-parse', 'main')
      isAsked(`+${tip}~1:${MAIN}`)
      isAsked(`:${MAIN}`)
      repository.commit('next')
      isAsked(['main', 'main:refs/heads/other'])
      isAsked(['main', `main:refs/headgate/inbox/${'a'.repeat(64)}`])
      isAsked('main:refs/heads/release')
      isAsked('main', { env: { GIT_NAMESPACE: 'a/b' } })
      for (let index = 0; index < 16; index++) repository.commit(`many ${index}`)
      isAsked('main')
      repository.git('reset', '-q', '--hard', tip)
      repository.commit('log', { [LOG]: 'one\ntwo\n' })
      isAsked('main')
      repository.git('reset', '-q', '--hard', tip)
      // Main becomes the second parent: first parents are somebody's branch.
      repository.git('switch', '-q', '-c', 'foxtrot', 'HEAD~1')
      repository.commit('foxtrot', { 'fox.txt': 'x\n' })
      repository.git('merge', '-q', '--no-ff', '-m', 'merge', 'main')
      isAsked(`foxtrot:${MAIN}`)
      repository.git('switch', '-q', 'main')
    })

    test('and so is every doubt', () => {
      const old = repository.git('rev-parse', 'main')
      const next = repository.commit('in doubt')
      repository.mustRun(repository.push('main:refs/heads/known'))
      repository.git('reset', '-q', '--hard', old)
      const line = `${old} ${next} ${MAIN}\n`
      const asked = (lines = line, env: Record<string, string> = {}) =>
        preReceive(repository, lines, env).code === 1
      const during = (path: string, text: string) => {
        const file = join(repository.bare, path)
        const before = existsSync(file) ? readFileSync(file) : null
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, text)
        const answer = asked()
        if (before === null) rmSync(file)
        else writeFileSync(file, before)
        return answer
      }
      expect(asked()).toBe(false)
      const list = readFileSync(join(repository.bare, 'headgate/guarded'), 'utf8')
      expect(list).toContain(`log ${LOG}\n`)
      expect({
        shallow: during('shallow', `${old}\n`),
        grafts: during('info/grafts', `${next} ${old}\n`),
        'an open move': during('headgate/move', 'authorized\n'),
        'a list of before': during('headgate/guarded', list.replace(`log ${LOG}\n`, '')),
        'two logs': during('headgate/guarded', `${list}log CHANGES\n`),
        'a log of an odd name': during('headgate/guarded', list.replace(LOG, '?')),
        'a pattern': during('headgate/guarded', list.replace(LOG, 'docs/*')),
        'a way up': during('headgate/guarded', list.replace(LOG, 'docs/../CHANGES')),
        'another part to play': during('headgate/guarded', `${list}release ${MAIN}\n`),
        'no list': during('headgate/guarded', ''),
        'a base where it is not': asked(`${next} ${old} ${MAIN}\n`),
        'a base that it never was': asked(`${ZEROS} ${next} ${MAIN}\n`),
        'a commit that is not there': asked(`${old} ${'a'.repeat(40)} ${MAIN}\n`),
        'a namespace': asked(line, { GIT_NAMESPACE: 'tenant/x' }),
        'a quarantine elsewhere': asked(line, { GIT_QUARANTINE_PATH: '/tmp' }),
        'a quarantine that is not there': asked(line, { GIT_QUARANTINE_PATH: '/x/incoming-abc' }),
        'a line twice': asked(line + line),
      }).toEqual(
        Object.fromEntries(
          [
            ...['shallow', 'grafts', 'an open move', 'a list of before', 'two logs', 'a log of an odd name'],
            ...['a pattern', 'a way up', 'another part to play', 'a base where it is not'],
            ...['a base that it never was', 'a commit that is not there', 'a namespace'],
            ...['a quarantine elsewhere', 'a quarantine that is not there', 'a line twice'],
          ]
            .map((name) => [name, true])
            .concat([['no list', false]]),
        ),
      )
      const link = join(repository.bare, 'objects/incoming-link')
      symlinkSync('/tmp', link)
      expect(asked(line, { GIT_QUARANTINE_PATH: link })).toBe(true)
      rmSync(link)
      // A replacement that would make it a descendant, and variables that would lead git elsewhere.
      const stranger = repository.git('commit-tree', `${next}^{tree}`, '-m', 'stranger')
      repository.mustRun(repository.push(`${stranger}:refs/heads/stranger`))
      repository.server('update-ref', `refs/replace/${stranger}`, next)
      expect(asked(`${old} ${stranger} ${MAIN}\n`)).toBe(true)
      const odd = { incoming: '/tmp', GIT: '/bin/true', ONE_LOG: 'BEGIN { exit 0 }', log: 'x', aliased: '' }
      expect(asked(`${old} ${stranger} ${MAIN}\n`, odd)).toBe(true)
      repository.server('update-ref', '-d', `refs/replace/${stranger}`)
      repository.server('-c', 'core.hooksPath=/dev/null', 'symbolic-ref', 'refs/heads/release', MAIN)
      expect(asked()).toBe(true)
    })
  },
)

describe('of generated histories, whose objects git need not have made', () => {
  let repository: TestRepository
  beforeAll(() => {
    repository = new TestRepository()
    withoutNode(repository)
  })
  afterAll(() => repository.remove())

  function object(type: string, body: string | Buffer): string {
    const bytes = Buffer.concat([Buffer.from(`${type} ${Buffer.byteLength(body)}\0`), Buffer.from(body)])
    const oid = createHash('sha1').update(bytes).digest('hex')
    const path = join(repository.bare, 'objects', oid.slice(0, 2), oid.slice(2))
    mkdirSync(dirname(path), { recursive: true })
    if (!existsSync(path)) writeFileSync(path, deflateSync(bytes))
    return oid
  }
  const entry = (mode: string, name: string, oid: string) =>
    Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')])
  const tree = (...entries: Buffer[]) => object('tree', Buffer.concat(entries))
  const WHO = 'Dev <dev@example.com> 1700000000 +0000'
  let made = 0
  const commit = (root: string, parents: readonly string[]) =>
    object(
      'commit',
      `tree ${root}\n${parents.map((parent) => `parent ${parent}\n`).join('')}author ${WHO}\ncommitter ${WHO}\n\n${made++}\n`,
    )

  /** Roots by kind: mostly what people push, then what nobody does. */
  function roots(): (() => string)[] {
    const blob = (text: string) => object('blob', text)
    const file = (name: string, text: string, mode = '100644') => entry(mode, name, blob(text))
    const log = (text: string, mode = '100644') => file('RELEASE_LOG.md', text, mode)
    const other = () => file('other.md', `${made++}`)
    const docs = (...entries: Buffer[]) => entry('40000', 'docs', tree(...entries))
    const code = () => file('src', `${made++}`)
    const one = 'one\n'
    const plain = () => tree(file('a', 'x'), docs(log(one)), code())
    return [
      ...Array(12).fill(plain),
      ...Array(4).fill(() => tree(file('a', 'x'), docs(log(one), other()), code())),
      () => tree(docs(log(`${one}two\n`)), code()),
      () => tree(docs(log('edited\n')), code()),
      () => tree(docs(log(one, '100755')), code()),
      () => tree(docs(log(one, '0100644')), code()),
      () => tree(docs(log(one, '100664')), code()),
      () => tree(docs(log(one, '00100644')), code()),
      () => tree(docs(log(one, '120000')), code()),
      () => tree(docs(log(one, '160000')), code()),
      () => tree(entry('040000', 'docs', tree(log(one))), code()),
      () => tree(entry('40000', 'docs', tree(entry('40000', 'RELEASE_LOG.md', tree(other())))), code()),
      () => tree(docs(log(one), log('edited\n')), code()),
      () => tree(docs(log('edited\n'), log(one)), code()),
      () => tree(docs(other(), log(one)), code()),
      () => tree(docs(log(one)), docs(log('edited\n')), code()),
      () => tree(docs(log(one)), code(), file('a', 'disorder')),
      () => tree(file('z', 'disorder'), docs(log(one))),
      () => tree(docs(log(one)), file('src/x', 'y')),
      () => tree(docs(log(one)), file('..', 'y')),
      () => tree(docs(log(one)), file('', 'y')),
      () => tree(file('docs', 'a file'), code()),
      () => tree(entry('120000', 'docs', blob('elsewhere')), code()),
      () => tree(entry('160000', 'docs', 'b'.repeat(40)), code()),
      () => tree(file('docs', 'both'), docs(log(one)), code()),
      () => tree(code()),
      () => tree(docs(other()), code()),
      () => tree(file('DOCS', 'x'), docs(file('RELEASE_LOG.MD', 'x'), log(one)), code()),
      () => 'c'.repeat(40),
      () => object('tree', '100644 broken'),
    ]
  }

  test.each([1, 2])('seed %i: nothing passes that would be refused', async (seed) => {
    const chance = seeded(seed)
    const random = (below: number) => Math.floor(chance() * 2 ** 32) % below
    const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T
    const kinds = roots()
    // Most histories have one thing that is out of the way at most, else nothing would ever pass.
    const root = (isOdd: boolean) => (isOdd ? pick(kinds) : pick(kinds.slice(0, 16)))()
    const git = await openRepository(repository.bare)
    const counted = { passed: 0, asked: 0, refused: 0 }
    for (let round = 0; round < 25; round++) {
      const base = commit(root(false), [])
      const from = commit(root(random(8) === 0), [base])
      const length = pick([1, 1, 1, 2, 3, 15, 16, 17])
      const odd = random(2) === 0 ? random(length) : -1
      let at = pick([from, from, from, from, from, from, from, base])
      for (let index = 0; index < length; index++) {
        const side = commit(root(random(3) === 0), [base])
        const parents = pick([
          [at],
          [at],
          [at],
          [at, side],
          [at, base, side],
          ...(index === odd ? [[side, at], []] : []),
        ])
        at = commit(root(index === odd), parents)
      }
      const tag = `object ${at}\ntype commit\ntag t\ntagger ${WHO}\n\nt\n`
      const to = random(12) === 0 ? pick([object('tag', tag), base, from, ZEROS, object('blob', 'x')]) : at
      writeFileSync(join(repository.bare, MAIN), `${from}\n`)
      const claimed = random(20) === 0 ? base : from
      const ran = preReceive(repository, `${claimed} ${to} ${MAIN}\n`)
      const passed = ran.code === 0
      const about = `seed ${seed}, round ${round}: ${claimed} ${to}, main at ${from}\n${ran.all}`
      const update = { ref: MAIN, from: claimed, to }
      const judged = await gatherStagingMove(git, update, from, LOG).then(
        (facts) => decideStaging(facts).length === 0,
        () => false,
      )
      if (passed) expect(judged, about).toBe(true)
      counted[passed ? 'passed' : judged ? 'asked' : 'refused']++
    }
    git.close()
    // Else it would prove nothing.
    for (const count of Object.values(counted)) expect(count, JSON.stringify(counted)).toBeGreaterThan(0)
  })
})
