import { randomUUID } from 'node:crypto'
import { parsePolicyFiles } from '../audit/policy-in-force.ts'
import { parseDuration } from '../core/duration.ts'
import { HeadgateError } from '../core/errors.ts'
import { isOid, shortOid, zeroOidLike } from '../core/oid.ts'
import type { Policy } from '../core/policy.ts'
import type { LedgerState } from '../core/state.ts'
import { statementPayload } from '../core/statement.ts'
import { ClientRepository } from './client-repository.ts'
import { print } from './output.ts'
import { requireKey, signAndSubmit } from './submit.ts'

type Common = { readonly reason: string; readonly key: string | undefined; readonly remote: string }

export async function approve(
  options: Common & {
    from: string
    to: string
    trigger: string | undefined
    symptoms: string | undefined
    expires: string
  },
): Promise<void> {
  const key = requireKey(options.key)
  const repository = new ClientRepository()
  const [from, to] = [
    await repository.resolveCommit(options.from),
    await repository.resolveCommit(options.to),
  ]
  const { policy } = await remoteView(repository, options.remote)
  const payload = statementPayload('approval', policy.repository, to, {
    ref: `refs/heads/${policy.release}`,
    from,
    to,
    trigger: options.trigger ?? null,
    reason: options.reason,
    symptoms: options.symptoms ?? null,
    nonce: randomUUID(),
    ...validity(options.expires),
  })
  await signAndSubmit(repository, { remote: options.remote, kind: 'approval', payload, key })
  print(
    `approved: ${policy.release} from ${shortOid(from)} back to ${shortOid(to)}, once, for ${options.expires}. An operator runs:`,
  )
  print(
    `  git push --force-with-lease=${policy.release}:${shortOid(from)} ${options.remote} ${shortOid(to)}:${policy.release}`,
  )
}

export async function override(
  options: Common & { from: string; to: string; waive: readonly string[]; expires: string },
): Promise<void> {
  const key = requireKey(options.key)
  const repository = new ClientRepository()
  const [from, to] = [
    await repository.resolveCommit(options.from),
    await repository.resolveCommit(options.to),
  ]
  const { policy } = await remoteView(repository, options.remote)
  const waives = options.waive.flatMap((names) => names.split(',')).filter((name) => name !== '')
  const payload = statementPayload('override', policy.repository, to, {
    ref: `refs/heads/${policy.release}`,
    from,
    to,
    reason: options.reason,
    nonce: randomUUID(),
    waives,
    ...validity(options.expires),
  })
  await signAndSubmit(repository, { remote: options.remote, kind: 'override', payload, key })
  print(
    `OVERRIDE recorded: ${waives.join(', ')} waived once for ${policy.release} ${shortOid(from)} -> ${shortOid(to)}. An operator runs:`,
  )
  print(
    `  git push --force-with-lease=${policy.release}:${shortOid(from)} ${options.remote} ${shortOid(to)}:${policy.release}`,
  )
}

/** Freezes for a duration; null ends the freeze in force. */
export async function freeze(options: Common, duration: string | null): Promise<void> {
  const key = requireKey(options.key)
  const lasting = duration === null ? 0 : parseDuration(duration)
  const repository = new ClientRepository()
  const { policy, release } = await remoteView(repository, options.remote)
  if (release === null)
    throw new HeadgateError('configuration', `there is no ${policy.release} on ${options.remote} yet`)
  const now = Date.now()
  const until = new Date(now + lasting).toISOString()
  const payload = statementPayload('freeze', policy.repository, release, {
    until,
    reason: options.reason,
    issuedAt: new Date(now).toISOString(),
  })
  await signAndSubmit(repository, { remote: options.remote, kind: 'freeze', payload, key })
  print(
    duration === null
      ? `${policy.release} is no longer frozen`
      : `${policy.release} is frozen until ${until}; rollbacks stay possible`,
  )
}

export async function acceptDrift(options: Common): Promise<void> {
  const key = requireKey(options.key)
  const repository = new ClientRepository()
  const { policy, state, release } = await remoteView(repository, options.remote)
  const ref = `refs/heads/${policy.release}`
  const expected = state.landed[ref]?.to ?? null
  if (expected === release) {
    print(`${policy.release} has not drifted: it is where its last landed move put it`)
    return
  }
  const known = release ?? expected
  if (known === null) return
  const payload = statementPayload('drift', policy.repository, known, {
    ref,
    expected: expected ?? zeroOidLike(known),
    found: release ?? zeroOidLike(known),
    reason: options.reason,
    issuedAt: new Date().toISOString(),
  })
  await signAndSubmit(repository, { remote: options.remote, kind: 'drift', payload, key })
  print(
    `accepted: ${policy.release} ${release === null ? 'does not exist' : `is at ${shortOid(release)}`}; the next move starts from there`,
  )
}

function validity(expires: string): { issuedAt: string; expiresAt: string } {
  const now = Date.now()
  return {
    issuedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + parseDuration(expires)).toISOString(),
  }
}

/** What the remote's ledger says, and where its release branch is now. */
async function remoteView(
  repository: ClientRepository,
  remote: string,
): Promise<{ policy: Policy; state: LedgerState; release: string | null }> {
  const { snapshot, close } = await repository.fetchLedger(remote)
  try {
    const files = await snapshot.policyInForce()
    if (files === null) throw new HeadgateError('configuration', `no policy is in force on ${remote}`)
    const { policy } = parsePolicyFiles(files)
    const ref = `refs/heads/${policy.release}`
    const [oid = ''] = (await repository.git('ls-remote', '--', remote, ref)).split('\t')
    return { policy, state: snapshot.state, release: isOid(oid) ? oid : null }
  } finally {
    close()
  }
}
