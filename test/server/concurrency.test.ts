/** Many at once: forty people on branches of their own, eight operators at release, CI with its evidence. */
import { afterEach, describe, expect, test } from 'vitest'
import { pushAtOnce } from '../at-once.ts'
import { TestRepository } from '../make-repository.ts'
import { expectSoundLedger } from './attack.ts'
import { RunningService } from './running-service.ts'

const PUSHERS = 40
const OPERATORS = 8
const JOBS = 12

let repository: TestRepository
let service: RunningService | undefined
afterEach(async () => {
  await service?.stop()
  service = undefined
  repository.remove()
})

describe.each(['embedded', 'through the service'])('%s', (way) => {
  test('every valid push succeeds or is told to fetch first, and the ledger stays one chain', async () => {
    repository = new TestRepository()
    repository.release('zero')
    const candidates = repository.commits(Array.from({ length: OPERATORS }, (_, i) => `candidate ${i}`))
    const tip = candidates.at(-1) ?? ''
    repository.pushProved(...candidates)
    if (way !== 'embedded') service = await RunningService.start([repository.bare])
    const evidence = Array.from({ length: JOBS }, (_, index) =>
      repository.sign(
        repository.evidencePayload(tip, (predicate) => {
          predicate.headgate.runner = `job ${index}`
        }),
        'ci',
        'headgate-evidence',
      ),
    )
    const submissions = evidence.map((envelope) => repository.inboxRefspec(envelope))

    const [topics, moves, jobs] = await Promise.all([
      Promise.all(
        Array.from({ length: PUSHERS }, (_, i) =>
          pushAtOnce(repository, `${tip}:refs/heads/topic-${i}`, 'dave'),
        ),
      ),
      Promise.all(
        candidates.map((commit) => pushAtOnce(repository, `${commit}:refs/heads/release`, 'alice')),
      ),
      Promise.all(submissions.map((refspec) => pushAtOnce(repository, refspec, 'ci'))),
    ])

    for (const { code, all } of [...topics, ...jobs]) expect(code, all).toBe(0)
    for (let index = 0; index < PUSHERS; index++)
      expect(repository.ref(`refs/heads/topic-${index}`)).toBe(tip)
    for (const { code, all } of moves) {
      if (code !== 0) expect(all).toMatch(/fetch first|cannot lock ref|\[fast-forward\]|failed to update ref/)
    }
    const records = expectSoundLedger(repository)
    const landed = records.filter(
      ({ kind, predicate }) => kind === 'outcome' && predicate.result === 'landed',
    )
    // Besides these eight: the first release.
    expect(landed).toHaveLength(1 + moves.filter(({ code }) => code === 0).length)
    expect(landed.length).toBeGreaterThan(1)
    const runners = records
      .filter(({ kind }) => kind === 'evidence')
      .map(({ predicate }) => predicate.headgate.runner)
    for (let index = 0; index < JOBS; index++) expect(runners).toContain(`job ${index}`)
    expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
    // Whoever lost finds an open door.
    if (repository.ref('refs/heads/release') !== tip) {
      repository.mustRun(repository.push(`${tip}:refs/heads/release`))
      expectSoundLedger(repository)
    }
  })
})
