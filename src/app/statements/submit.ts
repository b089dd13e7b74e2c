/** Signing a statement with the user's key and sending it to a guarded remote: what every signing command does. */

import { canonicalJson, sha256 } from '../../core/canonical-json.ts'
import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { INBOX } from '../../core/refs.ts'
import { NAMESPACES, parseStatement, type SubmittedKind } from '../../core/statement.ts'
import { readPolicyOf } from '../../guard/policy-in-force.ts'
import { signEnvelope } from '../../signing/ssh-keygen-sign.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { fetchLedger } from '../clone/fetch-copies.ts'
import type { GuardedPlace } from '../clone/guarded-place.ts'
import { type PushOutcome, pushRef } from '../clone/push-ref.ts'
import { serverWords } from '../clone/server-words.ts'
import { remoteOption, shownRemote } from '../clone/shown-remote.ts'
import { whenSettled } from '../clone/when-settled.ts'
import { awaitRelay, type Submitted } from './relay-answer.ts'

export type SubmitEvent =
  /** The server did not say so, and its ledger has the statement all the same. */
  | { readonly kind: 'recorded-unsaid'; readonly record: number }
  /** The host took it, and the relay has not looked yet. */
  | { readonly kind: 'waiting-for-relay' }

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

  if (outcome.kind === 'moved' && (await isRelayed(client, place)))
    return settleByRelay(client, place, { name: sha256(text), commit, payloadDigest }, tell)

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

/** Whether the policy in force there says so. A remote that cannot be asked says nothing. */
async function isRelayed(client: ClientRepository, { reads }: GuardedPlace): Promise<boolean> {
  try {
    const { snapshot, close } = await fetchLedger(client, reads)
    try {
      return (await readPolicyOf(snapshot))?.policy.guard === 'relay'
    } finally {
      close()
    }
  } catch (error) {
    if (error instanceof HeadgateError) return false
    throw error
  }
}

/** Returns when the relay has made a record of it. */
async function settleByRelay(
  client: ClientRepository,
  { remote, reads }: GuardedPlace,
  submitted: Omit<Submitted, 'remote'>,
  tell: (event: SubmitEvent) => void,
): Promise<void> {
  const said = await awaitRelay(client, { ...submitted, remote: reads }, () =>
    tell({ kind: 'waiting-for-relay' }),
  )
  switch (said.kind) {
    case 'recorded':
      return
    case 'refused':
      throw new HeadgateError(
        'refused',
        ['the relay refused; nothing was recorded', ...said.answer.lines].join('\n'),
        {
          hint: 'headgate policy show prints the policy that the relay judges by',
        },
      )
    case 'waiting':
      throw new HeadgateError('unavailable', `the relay of ${shownRemote(remote)} has not answered yet`, {
        hint: `it waits in the inbox, and is answered when the relay runs; then: headgate status${remoteOption(remote)}`,
      })
    case 'gone':
      throw new HeadgateError(
        'unavailable',
        'the statement is gone from the inbox, and nobody says what became of it',
        {
          hint: 'send it again; the relay answers only so many at a time',
        },
      )
  }
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
