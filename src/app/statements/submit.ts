/** Signing a statement with the user's key and sending it to a guarded remote: what every signing command does. */

import { canonicalJson, sha256 } from '../../core/canonical-json.ts'
import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { INBOX } from '../../core/refs.ts'
import { NAMESPACES, parseStatement, type SubmittedKind } from '../../core/statement.ts'
import { signEnvelope } from '../../signing/ssh-keygen-sign.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { fetchLedger } from '../clone/fetch-copies.ts'
import type { GuardedPlace } from '../clone/guarded-place.ts'
import { type PushOutcome, pushRef } from '../clone/push-ref.ts'
import { serverWords } from '../clone/server-words.ts'
import { remoteOption, shownRemote } from '../clone/shown-remote.ts'
import { whenSettled } from '../clone/when-settled.ts'

/** The server did not say so, and its ledger has the statement all the same. */
export type SubmitEvent = { readonly kind: 'recorded-unsaid'; readonly record: number }

/** The server's word that a statement is a durable record. */
const RECORDED = /^headgate: (?:.* accepted|that statement is record \d+ already)$/

/**
 * Signs, sends, and returns when the statement is a durable record of the remote's ledger. Where the server did not say,
 * the ledger is looked at. Throws HeadgateError 'refused' with the server's own words, 'unavailable' where it could not
 * decide or nobody can tell, 'configuration' for a remote that records nothing.
 */
export async function signAndSubmit(
  client: ClientRepository,
  options: { place: GuardedPlace; kind: SubmittedKind; namespace?: string; payload: string; key: string },
  tell: (event: SubmitEvent) => void,
): Promise<void> {
  const { place, kind, payload } = options
  const namespace = options.namespace ?? NAMESPACES[kind][0] ?? ''
  const { terminal } = client.caller
  const text = canonicalJson(await signEnvelope({ payload, namespace, keyFile: options.key, terminal }))
  const { commit, payloadDigest } = parseStatement(Buffer.from(payload))
  const to = await storeStatement(client, text)
  const outcome = await pushRef(client.caller, { place, ref: `${INBOX}${sha256(text)}`, to })
  if (outcome.kind === 'moved' && outcome.words.some((line) => RECORDED.test(line))) return
  if (outcome.kind === 'refused' && serverWords(outcome.words).judged) throw refused(outcome.words, null)

  // A server that has answered is not at work any more; one whose answer was lost may be.
  const isOver = outcome.kind === 'moved' || outcome.kind === 'refused'
  const seen = await whenSettled(() => recordOf(client, place, commit, payloadDigest), { isOver })
  if (seen.kind === 'found') return tell({ kind: 'recorded-unsaid', record: seen.value })
  const command = findOut(kind, commit, place)
  if (seen.kind === 'unseen') throw notKnown(outcome, `${seen.error.message}`, command)
  if (outcome.kind === 'refused') throw refused(outcome.words, 'nothing was recorded')
  if (outcome.kind === 'moved') {
    throw new HeadgateError(
      'configuration',
      `${shownRemote(place.remote)} took the statement and did not record it: nobody guards it`,
      { hint: 'name the guarded one: --remote URL; a server whose hooks are gone: headgate doctor REPO.git' },
    )
  }
  throw notKnown(outcome, `the ledger of ${shownRemote(place.remote)} does not have it so far`, command)
}

/** The statement as a blob of this clone. */
async function storeStatement(client: ClientRepository, text: string): Promise<Oid> {
  const repository = await client.open()
  try {
    return await repository.writeBlob(text)
  } catch (cause) {
    if (!(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError('unavailable', cause.message, {
      hint: 'the statement passes through this clone: it must be writable',
      cause,
    })
  } finally {
    repository.close()
  }
}

/** The number of the record with this payload; null where the ledger has none. */
async function recordOf(
  client: ClientRepository,
  { reads }: GuardedPlace,
  commit: Oid,
  payloadDigest: string,
): Promise<number | null> {
  const { snapshot, close } = await fetchLedger(client, reads)
  try {
    const about = await snapshot.about(commit)
    return about.find(({ statement }) => statement.payloadDigest === payloadDigest)?.seq ?? null
  } finally {
    close()
  }
}

function refused(words: readonly string[], looked: string | null): HeadgateError {
  const { undecided, judged, lines, hint } = serverWords(words)
  const what = undecided ? 'the server could not decide' : 'the server refused the statement'
  const otherwise = undecided
    ? 'try again in a moment, or ask the server admin'
    : judged
      ? 'headgate policy show prints the policy that the server judges by'
      : 'another hook of the server refused: ask the server admin'
  return new HeadgateError(
    undecided ? 'unavailable' : 'refused',
    [`${what}; ${looked ?? 'nothing was recorded'}`, ...lines].join('\n'),
    { hint: hint ?? otherwise },
  )
}

function notKnown(outcome: PushOutcome, why: string, command: string): HeadgateError {
  const said =
    outcome.kind === 'refused'
      ? ['the server refused the push', ...outcome.words]
      : outcome.kind === 'unknown'
        ? [outcome.error.message]
        : ['the server did not say what it did']
  return new HeadgateError(
    'unavailable',
    [...said, `whether the statement is recorded is not known: ${why}`].join('\n'),
    { hint: `find out: ${command}` },
  )
}

/** The command that shows a statement of this kind once it is recorded. */
function findOut(kind: SubmittedKind, commit: Oid, { remote }: GuardedPlace): string {
  const at = remoteOption(remote)
  if (kind === 'evidence' || kind === 'invalidation') return `headgate evidence list ${shortOid(commit)}${at}`
  // Of an approval or an override that is not used yet, the records of its commit tell.
  if (kind === 'approval' || kind === 'override') return `headgate log --export ${shortOid(commit)}${at}`
  return `headgate status${at}`
}
