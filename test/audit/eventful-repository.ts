/**
 * A guarded repository in which everything has happened that a ledger can tell of: every kind of statement, every kind
 * of move, evaluate mode, policies that change keys, a push that was authorized and did not land. All of it by pushes.
 */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { statementPayload } from '../../src/core/statement.ts'
import { POLICY, REPOSITORY_NAME, TestRepository } from '../make-repository.ts'

const OPTIONAL_GATE = POLICY.replace(
  '  production:',
  '      - { name: drills, run: ./drills.sh, optional: true }\n  production:',
)
const EVALUATE = OPTIONAL_GATE.replace('release: release', 'release: release\nenforcement: evaluate')

export function eventfulRepository(): TestRepository {
  return new TestRepository({ install: false, policy: EVALUATE, prepare: happen })
}

function happen(repository: TestRepository): void {
  const tell = (person: string, payload: string) =>
    repository.mustRun(repository.submit(repository.sign(payload, person, 'headgate-approval'), person))
  const freeze = (release: string, lastingMs: number) => {
    const now = Date.now()
    const [until, issuedAt] = [new Date(now + lastingMs).toISOString(), new Date(now).toISOString()]
    tell('alice', statementPayload('freeze', REPOSITORY_NAME, release, { until, reason: 'sale', issuedAt }))
  }
  const promote = (commit: string, as = 'alice', args: string[] = []) =>
    repository.mustRun(repository.push(`${commit}:refs/heads/release`, { as, args }))
  const goBack = (from: string, to: string, as = 'alice') =>
    promote(to, as, [`--force-with-lease=release:${from}`])
  const onMain = (subject: string) => {
    const commit = repository.commit(subject)
    repository.mustRun(repository.push('main'))
    return commit
  }
  const signEvidence = (commit: string, change: (predicate: any) => void = () => {}, key = 'ci') =>
    repository.mustRun(
      repository.submit(
        repository.sign(repository.evidencePayload(commit, change), key, 'headgate-evidence'),
        'ci',
      ),
    )
  const apply = (policy: string, signers?: (text: string) => string) => {
    writeFileSync(join(repository.policyFolder, 'policy.yaml'), policy)
    const file = join(repository.policyFolder, 'allowed_signers')
    if (signers !== undefined) writeFileSync(file, signers(readFileSync(file, 'utf8')))
    repository.mustRun(repository.headgate('policy', 'apply', repository.bare, repository.policyFolder))
  }

  // A release that was there before, evaluate mode, and a move that it would have refused.
  repository.mustRun(repository.push('main:refs/heads/release'))
  repository.install()
  promote(onMain('unproved'), 'dave')
  apply(OPTIONAL_GATE)

  // A failed run, a better one, an invalidation, a run that is only warned, with its release log.
  const one = onMain('one')
  signEvidence(one, (predicate) => {
    predicate.result = 'FAILED'
    predicate.passedTests = ['health']
    predicate.failedTests = ['chat']
    predicate.headgate.gates[1].outcome = 'failed'
    predicate.headgate.gates[1].reason = 'status 500'
  })
  signEvidence(one)
  repository.mustRun(
    repository.submit(
      repository.sign(
        statementPayload('invalidation', REPOSITORY_NAME, one, {
          reason: 'the wrong database',
          issuedAt: new Date().toISOString(),
        }),
        'ci',
        'headgate-evidence',
      ),
    ),
  )
  signEvidence(one, (predicate) => {
    predicate.result = 'WARNED'
    predicate.passedTests = ['health', 'chat']
    predicate.warnedTests = ['drills']
    predicate.headgate.gates[2].outcome = 'failed'
  })
  promote(one)
  repository.mustRun(repository.headgate('log', '--append'))

  // A freeze and its end; production smoke; a rollback that two approved.
  repository.git('fetch', '-q', 'origin')
  repository.git('reset', '-q', '--hard', 'origin/main')
  freeze(one, 3_600_000)
  freeze(one, 0)
  const two = onMain('two')
  signEvidence(two)
  repository.mustRun(
    repository.push(`${two}:refs/heads/release`, {
      as: 'bob',
      args: ['-o', 'note=a note', '-o', 'plan=a plan'],
    }),
  )
  signEvidence(one, (predicate) => {
    predicate.configuration[0].name = '.headgate/policy.yaml#environments.production'
    predicate.passedTests = ['health']
    predicate.headgate.environment = 'production'
    predicate.headgate.gates = [predicate.headgate.gates[0]]
  })
  for (const person of ['bob', 'alice']) tell(person, repository.approvalPayload(two, one))
  goBack(two, one)

  // What was rolled back from is barred until it is proved anew; a waiver instead.
  tell('alice', repository.overridePayload(one, two, ['barred', 'evidence'], 'so it was'))
  promote(two)

  // Keys are rotated, and the old ones no longer count.
  const line = repository.makeKey('ci2', 'ci@example.com', 'headgate-evidence')
  apply(OPTIONAL_GATE.replace('maxAge: 24h', 'maxAge: 12h'), (text) => {
    const [ci = '', ...others] = text.split('\n')
    const old = ci.replace(
      ' namespaces=',
      ` valid-before="${new Date().toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z",namespaces=`,
    )
    return [old, line, ...others].join('\n')
  })
  const three = onMain('three')
  signEvidence(three, undefined, 'ci2')
  repository.git('config', 'gpg.format', 'ssh')
  repository.git('config', 'user.signingKey', repository.key('alice'))
  promote(three, 'alice', ['--signed', '-o', 'note=signed'])

  // Moved behind the guard, and accepted.
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', two)
  tell(
    'bob',
    statementPayload('drift', REPOSITORY_NAME, two, {
      ref: 'refs/heads/release',
      expected: three,
      found: two,
      reason: 'so it was',
      issuedAt: new Date().toISOString(),
    }),
  )

  // Authorized, and then refused by another hook; and at last it lands.
  const update = join(repository.bare, 'hooks', 'update')
  writeFileSync(update, '#!/bin/sh\nexit 1\n')
  chmodSync(update, 0o755)
  repository.push(`${three}:refs/heads/release`)
  rmSync(update)
  promote(three, 'bob')
}
