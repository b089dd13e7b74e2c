/** Pushes of more refs than the shell looks at one by one: nothing guarded hides among them. */
import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestRepository } from '../make-repository.ts'
import { expectRefused, expectSoundLedger } from './attack.ts'
import { receivePack } from './receive-pack-stream.ts'

const RELEASE = 'refs/heads/release'
const ZEROS = '0'.repeat(40)
const MANY = 150

let repository: TestRepository
let released: string
let next: string
beforeAll(() => {
  repository = new TestRepository()
  released = repository.release('first')
  next = repository.commit('next')
  repository.mustRun(repository.push('HEAD:refs/heads/topic'))
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

const many = (prefix: string) =>
  Array.from(
    { length: MANY },
    (_, index) => `${ZEROS} ${released} refs/heads/${prefix.replaceAll(' ', '-')}/${index}`,
  )

describe.each([
  ['first', (line: string, others: string[]) => [line, ...others]],
  ['among others', (line: string, others: string[]) => [...others.slice(0, 100), line, ...others.slice(100)]],
  ['last', (line: string, others: string[]) => [...others, line]],
] as const)('%s of many', (place, arrange) => {
  const refused = (rules: string[], line: string) =>
    expectRefused(repository, rules, () => receivePack(repository, { commands: arrange(line, many(place)) }))

  test('a move of release is refused', () =>
    refused(['evidence', 'on-staging'], `${released} ${next} ${RELEASE}`))

  test('a deletion of main is refused', async () => {
    const main = repository.ref('refs/heads/main')
    await refused(['staging-history'], `${main} ${ZEROS} refs/heads/main`)
  })

  test('a ref of headgate is refused', async () => {
    await refused(['reserved'], `${ZEROS} ${released} refs/headgate/other`)
    await refused(['reserved'], `${ZEROS} ${released} refs/headgate`)
  })

  test('a symbolic ref to release is refused', async () => {
    repository.server('symbolic-ref', 'refs/heads/alias', RELEASE)
    await refused(['evidence', 'on-staging'], `${released} ${next} refs/heads/alias`)
    repository.server('symbolic-ref', '--delete', 'refs/heads/alias')
  })

  test('a symbolic link to release is refused', async () => {
    const link = join(repository.bare, 'refs/heads/link')
    symlinkSync(RELEASE, link)
    await refused(['evidence', 'on-staging'], `${released} ${next} refs/heads/link`)
    renameSync(link, join(repository.folder, `link-${place}`))
  })

  test('a transaction on the server with release in it is refused', async () => {
    const line = `update ${RELEASE} ${next}\n`
    const others = many(place).map((other) => `create ${other.split(' ')[2]} ${released}\n`)
    await expectRefused(repository, [], () =>
      repository.run('git', ['update-ref', '--stdin'], {
        cwd: repository.bare,
        input: arrange(line, others).join(''),
      }),
    )
  })
})

test('many unguarded refs pass, also those that collide with folders of refs', () => {
  mkdirSync(join(repository.bare, 'refs/heads/folder'), { recursive: true })
  const specs = Array.from({ length: MANY }, (_, index) => `main:refs/heads/passing/${index}`)
  repository.mustRun(repository.push([...specs, 'main:refs/heads/folder']))
  repository.mustRun(
    repository.push([...specs.map((spec) => spec.replace('passing', 'whole')), 'main:w'], {
      args: ['--atomic'],
    }),
  )
  expect(repository.ref('refs/heads/passing/149')).toBe(repository.git('rev-parse', 'main'))
})

test('an accepted move among many refs is announced, and the inbox is emptied', () => {
  repository.mustRun(repository.push('main'))
  const envelope = repository.sign(repository.evidencePayload(next), 'ci', 'headgate-evidence')
  const specs = Array.from({ length: MANY }, (_, index) => `main:refs/heads/along/${index}`)
  const pushed = repository.mustRun(
    repository.push([...specs, repository.inboxRefspec(envelope), `${next}:${RELEASE}`]),
  )
  expect(pushed.all).toMatch(/release is now [0-9a-f]{7}, promotion 2, ledger record/)
  expect(repository.ref(RELEASE)).toBe(next)
  expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
})

test('the hook that was there before sees all of them', () => {
  const kept = join(repository.bare, 'hooks/pre-receive')
  const seen = join(repository.folder, 'seen')
  renameSync(kept, join(repository.folder, 'ours'))
  writeFileSync(kept, `#!/bin/sh\nwc -l >${seen}\n`)
  chmodSync(kept, 0o755)
  repository.install()
  const specs = Array.from({ length: MANY }, (_, index) => `main:refs/heads/kept/${index}`)
  repository.mustRun(repository.push(specs))
  expect(repository.run('cat', [seen]).stdout.trim()).toBe(String(MANY))
  const refused = repository.push([...specs.map((spec) => spec.replace('kept', 'again')), `:${RELEASE}`])
  expect(refused.code).not.toBe(0)
})

test('hundreds of refs at once are told of the faster way, where git is one that needs it', () => {
  for (let index = 0; index < 600; index++)
    writeFileSync(join(repository.clone, '.git', 'refs', 'heads', `many-${index}`), `${released}\n`)
  const ran = repository.push('refs/heads/many-*:refs/heads/at-once/*', { args: ['--atomic'] })
  expect(ran.code).toBe(0)
  const [, minor = '0'] = /^git version 2\.(\d+)\./.exec(repository.run('git', ['version']).stdout) ?? []
  const hint = 'headgate: so many refs take git long here, one by one; all at once: git push --atomic'
  if (Number(minor) <= 50) expect(ran.all).toContain(hint)
  else expect(ran.all).not.toContain(hint)
  expect(repository.push('refs/heads/many-1*:refs/heads/fewer/*', { args: ['--atomic'] }).all).not.toContain(
    hint,
  )
})
