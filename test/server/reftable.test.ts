/**
 * Refs in a reftable, which is how git 3.0 keeps them: all refs share one lock. Needs a git of 2.46 or newer, which the
 * variable HEADGATE_CURRENT_GIT names; without one these tests are skipped, and say so.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { pushAtOnce } from '../at-once.ts'
import { lastCommits, proved, released } from '../beginnings.ts'
import { CURRENT_GIT, PROGRAM, type Step, TestRepository } from '../make-repository.ts'
import { expectSoundLedger, ledgerRecords } from './attack.ts'
import { RunningService } from './running-service.ts'

const RELEASE = 'refs/heads/release'
const OFF = ['-c', 'core.hooksPath=/dev/null']
const without = CURRENT_GIT === undefined

let repository: TestRepository
let service: RunningService | undefined
afterEach(async () => {
  await service?.stop()
  service = undefined
  repository?.remove()
})

function script(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`)
  chmodSync(path, 0o755)
}

const where = without ? 'with a reftable (skipped: HEADGATE_CURRENT_GIT names no git)' : 'with a reftable'

describe.skipIf(without).each(['sha1', 'sha256'] as const)(`${where} and %s`, (objectFormat) => {
  const make = (prepare: readonly Step[] = released) => {
    repository = new TestRepository({ objectFormat, refFormat: 'reftable', prepare })
    expect(existsSync(join(repository.bare, 'reftable'))).toBe(true)
  }

  test('an authorization that did not land does not stop the next promotion', () => {
    make(proved)
    const [first = '', second = ''] = lastCommits(repository, 2)
    const update = join(repository.bare, 'hooks', 'update')
    script(update, `test "$1" != ${RELEASE} || { echo no; exit 1; }`)
    expect(repository.push(`${second}:${RELEASE}`).code).toBe(1)
    rmSync(update)
    expect(repository.ref(RELEASE)).toBe(first)

    repository.mustRun(repository.push(`${second}:${RELEASE}`))

    expect(repository.ref(RELEASE)).toBe(second)
    const results = ledgerRecords(repository)
      .filter(({ kind }) => kind === 'outcome')
      .map(({ predicate }) => predicate.result)
    expect(results).toEqual(['landed', 'not-landed', 'landed'])
    expectSoundLedger(repository)
    expect(repository.server('fsck', '--strict', '--no-dangling')).toBe('')
  })

  test('what headgate leaves is in no way of git refs migrate', () => {
    make()
    // As versions before this one did.
    mkdirSync(join(repository.bare, 'logs', 'refs', 'heads'), { recursive: true })
    for (const name of ['main', 'release'])
      writeFileSync(join(repository.bare, 'logs', 'refs', 'heads', name), '')
    repository.install()
    expect(existsSync(join(repository.bare, 'logs'))).toBe(false)
    for (const format of ['files', 'reftable', 'files']) {
      repository.server('refs', 'migrate', `--ref-format=${format}`)
      repository.release(`on ${format}`)
    }
    expectSoundLedger(repository)
  })

  test('doctor finds it healthy, and names a lock that stayed', () => {
    make()
    expect(repository.headgate('doctor', repository.bare)).toMatchObject({ code: 0 })
    expect(repository.server('config', 'reftable.lockTimeout')).toBe('10000')
    const lock = join(repository.bare, 'reftable', 'tables.list.lock')
    writeFileSync(lock, '')
    repository.run('touch', ['-d', '2 minutes ago', lock])
    expect(repository.headgate('doctor', repository.bare).stdout).toContain(
      'reftable/tables.list.lock is older',
    )
  })
})

test.skipIf(without)(`${where}: the demo goes as told with the defaults of git 3.0`, () => {
  repository = new TestRepository({ refFormat: 'reftable', install: false })
  const folder = join(repository.folder, 'git-3.0')
  mkdirSync(folder)
  script(
    join(folder, 'git'),
    `export GIT_DEFAULT_REF_FORMAT=reftable GIT_DEFAULT_HASH=sha256; exec '${CURRENT_GIT}' "$@"`,
  )
  const temporary = join(repository.folder, 'tmp')
  mkdirSync(temporary)
  const env = { PATH: `${folder}:${repository.env.PATH}`, TMPDIR: temporary }
  const ran = repository.run(process.execPath, [PROGRAM, 'demo'], { env })
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stdout).toContain('All went as told')
  expect(readdirSync(temporary)).toEqual([])
})

describe.skipIf(without)(`${where}, many at once`, () => {
  test.each(['embedded', 'through the service'])('%s: no push fails of the lock', async (way) => {
    repository = new TestRepository({ refFormat: 'reftable', prepare: proved })
    const [first = '', second = ''] = lastCommits(repository, 2)
    if (way !== 'embedded') service = await RunningService.start([repository.bare])
    const jobs = Array.from({ length: 6 }, (_, index) =>
      repository.evidencePayload(first, (predicate) => {
        predicate.headgate.runner = `job ${index}`
      }),
    )
    const evidence = repository
      .signAll(jobs, 'ci', 'headgate-evidence')
      .map((envelope) => repository.inboxRefspec(envelope))
    const all = await Promise.all([
      ...Array.from({ length: 12 }, (_, i) =>
        pushAtOnce(repository, `${second}:refs/heads/topic-${i}`, 'dave'),
      ),
      ...evidence.map((refspec) => pushAtOnce(repository, refspec, 'ci')),
      pushAtOnce(repository, `${second}:${RELEASE}`, 'alice'),
    ])
    for (const { code, all: text } of all) expect(code, text).toBe(0)
    expect(repository.ref(RELEASE)).toBe(second)
    expectSoundLedger(repository)
    expect(readdirSync(repository.bare).filter((name) => name.startsWith('fast_import_crash'))).toEqual([])
  })

  test('release made a symbolic ref behind the guard: no push moves what it points at', () => {
    repository = new TestRepository({ refFormat: 'reftable', prepare: proved })
    const [first = '', second = ''] = lastCommits(repository, 2)
    repository.server('update-ref', 'refs/heads/trunk', first)
    repository.server(...OFF, 'symbolic-ref', RELEASE, 'refs/heads/trunk')
    const { code, all } = repository.push(`${second}:refs/heads/trunk`)
    expect(code).toBe(1)
    expect(all).toContain('was made a symbolic ref to refs/heads/trunk')
    expect(repository.ref('refs/heads/trunk')).toBe(first)
    expect(readFileSync(join(repository.bare, 'HEAD'), 'utf8')).toContain('ref:')
  })
})
