import { setTimeout as sleep } from 'node:timers/promises'
import { viewLine } from '../../core/decision-lines.ts'
import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import { debug } from '../../git/debug.ts'
import { elapsedMs } from '../../git/elapsed.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import { readPolicyOf } from '../../guard/policy-in-force.ts'
import type { ClientRepository } from './client-repository.ts'
import { lacking } from './remote-copies.ts'
import { shownRemote } from './shown-remote.ts'

/** What a clone has just seen of a remote. */
export type Look =
  | { readonly kind: 'guarded'; readonly view: RemoteView }
  /** No ledger, or one without a policy: nothing is guarded there but headgate's own refs. */
  | { readonly kind: 'open' }

/** Where a push to a remote goes: one place or several. */
export async function pushUrls(client: ClientRepository, name: string): Promise<Set<string>> {
  const urls = (await client.git('remote', 'get-url', '--push', '--all', name)).split('\n')
  return new Set(urls.filter((url) => url !== ''))
}

/** Pushes may go elsewhere than fetches come from; the ledger that counts is where the push goes. */
export async function pushTarget(client: ClientRepository, remote: string, pushUrl: string): Promise<string> {
  if (remote === pushUrl) return pushUrl
  const fetches = await client.git('ls-remote', '--get-url', remote)
  return fetches.replace(/\n$/, '') === pushUrl ? remote : pushUrl
}

/** A push may land between the connections. Where that goes on for so long, there is no view of one moment. */
const ATTEMPTS = 5
const PATIENCE_MS = 10_000
const MAX_PAUSE_MS = 500

/**
 * Looks at a remote: where its guarded branches are, the ledger, and every object that a verdict needs.
 * Fetches only what this clone lacks: usually one connection, two where something is new. Throws HeadgateError
 * 'unavailable' if the remote cannot be reached.
 */
export async function lookAt(
  client: ClientRepository,
  repository: GitRepository,
  remote: string,
): Promise<Look> {
  let unexplained = ''
  const start = elapsedMs()
  for (let attempt = 1; attempt <= ATTEMPTS || elapsedMs() - start < PATIENCE_MS; attempt++) {
    // Other pushes may go on all the time: with pauses of chance length the looks do not meet each of them.
    if (attempt > 2) await sleep(Math.random() * Math.min(100 * attempt, MAX_PAUSE_MS))
    const before = await readCopy(client, repository, remote)
    const names = before === null ? [] : Object.values(refsOf(before.inForce.policy))
    const refs = await client.remoteRefs(remote, [LEDGER_REF, ...names])
    const tip = refs.get(LEDGER_REF)
    if (tip === undefined) return { kind: 'open' }
    refs.delete(LEDGER_REF)
    const missing = await lacking(repository, refs)
    // The copy is what is read, so that the object alone is not enough.
    if (before?.oid !== tip) missing.push(LEDGER_REF)
    if (missing.length > 0) await client.fetchRefs(remote, missing)
    const now = missing.includes(LEDGER_REF) ? await readCopy(client, repository, remote) : before
    if (now === null) return { kind: 'open' }
    // The ledger and the branches must be of one moment, and the names those of its policy.
    const agree =
      now.oid === tip && Object.values(refsOf(now.inForce.policy)).every((name) => names.includes(name))
    if (!agree) continue
    const { snapshot, inForce } = now
    const view = { snapshot, inForce, refs }
    debug(() => `${shownRemote(remote)}: ${viewLine(snapshot.head, inForce, refs)}`)
    // A server lists its refs one after the other: a push that lands meanwhile looks like drift. Real drift stays.
    const seen = JSON.stringify([tip, ...refs])
    if (!isExplained(view) && seen !== unexplained) {
      unexplained = seen
      continue
    }
    return { kind: 'guarded', view }
  }
  throw new HeadgateError('unavailable', `${shownRemote(remote)} changes faster than it can be read`, {
    hint: 'try again in a moment',
  })
}

/** Whether the ledger knows of a move that put the release branch where it is. */
function isExplained({ snapshot, inForce, refs }: RemoteView): boolean {
  const { release } = refsOf(inForce.policy)
  const { landed, open } = snapshot.state
  const found = refs.get(release)
  return found === landed[release]?.to || open.some(({ ref, to }) => ref === release && to === found)
}

/** What was fetched last, as if the remote were still so; null where nothing was, or no policy was in force. */
export async function readCopy(
  client: ClientRepository,
  repository: GitRepository,
  remote: string,
): Promise<(Omit<RemoteView, 'refs'> & { oid: Oid }) | null> {
  const copy = await client.ledgerCopy(repository, remote)
  const inForce = copy === null ? null : await readPolicyOf(copy.snapshot)
  return copy === null || inForce === null ? null : { ...copy, inForce }
}
