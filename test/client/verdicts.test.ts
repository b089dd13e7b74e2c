/**
 * For generated situations the clone says before a push what the server says after it: the same answer, by the same
 * rules. HEADGATE_SITUATIONS sets how many, HEADGATE_SEED which.
 */
import { expect, test } from 'vitest'
import { statementPayload } from '../../src/core/statement.ts'
import { POLICY, type Ran, REPOSITORY_NAME, type TestRepository } from '../make-repository.ts'
import { seeded } from '../seeded.ts'
import { hookedClone } from './clones.ts'

const SITUATIONS = Number(process.env.HEADGATE_SITUATIONS ?? 12)
const SEED = Number(process.env.HEADGATE_SEED ?? 20_261_124)

class World {
  readonly repository: TestRepository
  readonly #random: () => number
  #count = 0

  constructor(random: () => number) {
    this.#random = random
    const policy = POLICY.replace(
      'approvals: 1, approverMayPush: true',
      'approvals: 1, approverMayPush: false',
    )
    this.repository = hookedClone({ policy })
    this.repository.release('first')
    this.repository.release('second')
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T
  }

  /** Something happens that the next verdict may depend on. */
  change(): string {
    const { repository } = this
    const changes: Record<string, () => void> = {
      'a commit on main': () => {
        repository.commit(`commit ${++this.#count}`)
        repository.mustRun(repository.push('main', { args: ['--no-verify'] }))
      },
      'evidence that passed': () => this.evidence(() => {}),
      'evidence that failed': () =>
        this.evidence((predicate) => {
          predicate.result = 'FAILED'
          predicate.passedTests = predicate.passedTests.slice(1)
          predicate.failedTests = ['health']
          predicate.headgate.gates[0].outcome = 'failed'
        }),
      'evidence that is old': () =>
        this.evidence((predicate) => {
          predicate.headgate.startedAt = predicate.headgate.finishedAt = new Date(
            Date.now() - 30 * 3_600_000,
          ).toISOString()
        }),
      'evidence for another commit that was served': () =>
        this.evidence((predicate) => {
          predicate.headgate.servedCommit.after = '1'.repeat(40)
        }),
      'an approval': () => {
        const [from, to] = [repository.ref('refs/heads/release'), this.commit()]
        if (from === null || from === to) return
        const payload = repository.approvalPayload(from, to, (predicate) => {
          if (this.#random() < 0.2) predicate.expiresAt = new Date(Date.now() + 120_000).toISOString()
        })
        // Not alice, who pushes: where the policy asks for somebody else than the pusher, a clone cannot know who that is.
        repository.submit(repository.sign(payload, 'bob', 'headgate-approval'))
      },
      'a freeze': () => this.freeze(3_600_000),
      'an unfreeze': () => this.freeze(0),
      'a move behind the guard': () => {
        if (this.#random() < 0.5) return
        repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', this.commit())
      },
      'a drift note': () => {
        repository.headgate('drift', '--reason', 'x', '--key', repository.key('alice'))
      },
    }
    const name = this.pick(Object.keys(changes))
    changes[name]?.()
    return name
  }

  commit(): string {
    return this.repository.git('rev-parse', this.pick(['main', 'main', 'main~1', 'main~2']))
  }

  evidence(change: (predicate: any) => void): void {
    const { repository } = this
    repository.submit(
      repository.sign(repository.evidencePayload(this.commit(), change), 'ci', 'headgate-evidence'),
    )
  }

  freeze(lastingMs: number): void {
    const { repository } = this
    const now = Date.now()
    const payload = statementPayload(
      'freeze',
      REPOSITORY_NAME,
      repository.ref('refs/heads/release') ?? this.commit(),
      {
        until: new Date(now + lastingMs).toISOString(),
        reason: 'x',
        issuedAt: new Date(now).toISOString(),
      },
    )
    repository.submit(repository.sign(payload, 'alice', 'headgate-approval'))
  }

  /** One of the pushes that people make. */
  attempt(): string[] {
    const { repository } = this
    const stray = () => {
      repository.git('switch', '-q', '--detach', this.commit())
      const oid = repository.commit(`stray ${++this.#count}`, { [`stray-${this.#count}`]: 'x' })
      repository.git('switch', '-q', 'main')
      return oid
    }
    const release = 'refs/heads/release'
    return this.pick([
      () => [`main:${release}`],
      () => [`main:${release}`, 'main:refs/heads/topic'],
      () => [`+${this.commit()}:${release}`],
      () => [`+${this.commit()}:${release}`],
      () => [`+${stray()}:${release}`],
      () => [`+${stray()}:refs/heads/main`],
      () => [`:${release}`],
      () => [`+main^{tree}:${release}`],
    ])()
  }
}

/** The rules that objected, in the order in which they are told. */
function rules({ all }: Ran): string[] {
  return [...all.matchAll(/^(?:remote: )? {2}\[([a-z-]+)\]/gm)].map(([, rule = '']) => rule)
}

test(`${SITUATIONS} situations, seed ${SEED}`, { timeout: 60_000 + SITUATIONS * 10_000 }, () => {
  const world = new World(seeded(SEED))
  const { repository } = world
  const seen = new Map<string, number>()
  for (let situation = 0; situation < SITUATIONS; situation++) {
    const changes = Array.from({ length: Math.floor(world.pick([0, 1, 2])) }, () => world.change())
    const refspecs = world.attempt()
    const story = `situation ${situation}: ${[...changes, refspecs.join(' ')].join(', then ')}`
    const before = repository.push(refspecs)
    if (/\[rejected\]|Everything up-to-date/.test(before.all)) continue
    const early = before.all.includes('Nothing was sent.')
    expect(before.all, story).not.toContain('could not tell')
    const server = early ? repository.push(refspecs, { args: ['--no-verify'] }) : before
    const refused = server.all.includes('headgate: push refused')
    expect(refused, `${story}\n${before.all}\n${server.all}`).toBe(early)
    expect(rules(server), `${story}\n${before.all}\n${server.all}`).toEqual(rules(before))
    repository.git('reset', '-q', '--hard', repository.ref('refs/heads/main') ?? '')
    for (const rule of early ? rules(before) : ['allowed']) seen.set(rule, (seen.get(rule) ?? 0) + 1)
  }
  if (SITUATIONS >= 300) console.log([...seen].map(([rule, count]) => `${rule} ${count}`).join(', '))
  expect(seen.size).toBeGreaterThan(4)
})
