/** Waiting for a relay, which answers on the host and not to the push: by a record, or by a ref with its reasons. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, parseAnswer } from '../../core/answer.ts'
import { HeadgateError } from '../../core/errors.ts'
import { isOid, type Oid } from '../../core/oid.ts'
import { ANSWERS, INBOX } from '../../core/refs.ts'
import { elapsedMs } from '../../git/elapsed.ts'
import type { GitRepository } from '../../git/repository.ts'
import { policyRecordOf } from '../../guard/policy-record.ts'
import { checkServerEnvelope } from '../../guard/seal-check.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import { MAX_ENVELOPE_BYTES, parseEnvelope, payloadBytes } from '../../signing/dsse.ts'
import { parseSignatures } from '../../signing/envelope-verify.ts'
import { parseKeyLine } from '../../signing/key-line.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { fetchLedger } from '../clone/fetch-copies.ts'

export type RelaySaid =
  | { readonly kind: 'recorded'; readonly record: number }
  | { readonly kind: 'refused'; readonly answer: Answer }
  /** It waits in the inbox still. */
  | { readonly kind: 'waiting' }
  /** It is gone, and neither a record nor an answer tells why. */
  | { readonly kind: 'gone' }

export type Submitted = {
  readonly remote: string
  /** SHA-256 of the envelope: its name in the inbox. */
  readonly name: string
  readonly commit: Oid
  readonly payloadDigest: string
}

/** A relay looks every ten seconds unless told; a job of a CI takes its while. */
const PATIENCE_MS = 90_000
const PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 5000

/** `waiting` is called once, where there is no answer at once. Errors as of `git fetch`. */
export async function awaitRelay(
  client: ClientRepository,
  submitted: Submitted,
  waiting: () => void,
  patienceMs = PATIENCE_MS,
): Promise<RelaySaid> {
  const { remote, name } = submitted
  const start = elapsedMs()
  let pauseMs = PAUSE_MS
  for (let look = 1; ; look++) {
    const listed = await listAnswers(client, remote, name)
    if (!listed.isWaiting) return (await lookUp(client, submitted, listed.answers)) ?? { kind: 'gone' }
    if (look === 1) waiting()
    if (elapsedMs() - start > patienceMs) return { kind: 'waiting' }
    await sleep(pauseMs)
    pauseMs = Math.min(pauseMs * 1.3, LONGEST_PAUSE_MS)
  }
}

type Listed = {
  readonly isWaiting: boolean
  readonly answers: readonly { readonly ref: string; readonly oid: Oid }[]
}

async function listAnswers(client: ClientRepository, remote: string, name: string): Promise<Listed> {
  const lines = (
    await client.git('ls-remote', '--refs', '--', remote, `${INBOX}${name}`, `${ANSWERS}*/${name}`)
  ).split('\n')
  const refs = lines.flatMap((line) => {
    const [oid = '', ref = ''] = line.split('\t')
    return isOid(oid) ? [{ ref, oid }] : []
  })
  return {
    isWaiting: refs.some(({ ref }) => ref === `${INBOX}${name}`),
    answers: refs.filter(({ ref }) => ref.startsWith(ANSWERS) && ref.endsWith(`/${name}`)),
  }
}

async function lookUp(
  client: ClientRepository,
  { remote, name, commit, payloadDigest }: Submitted,
  answers: Listed['answers'],
): Promise<RelaySaid | null> {
  const { snapshot, close } = await fetchLedger(client, remote)
  try {
    const about = await snapshot.about(commit)
    const record = about.find(({ statement }) => statement.payloadDigest === payloadDigest)?.seq
    if (record !== undefined) return { kind: 'recorded', record }
    if (answers.length === 0) return null
    await client.fetch(
      remote,
      answers.map(({ ref }) => ref),
    )
    return await firstGenuine(client, answers, { name, snapshot })
  } finally {
    close()
  }
}

/** Others than the relay can write such refs, too. Throws HeadgateError 'data' where none is the relay's. */
async function firstGenuine(
  client: ClientRepository,
  answers: Listed['answers'],
  about: { readonly name: string; readonly snapshot: Snapshot },
): Promise<RelaySaid> {
  const repository = await client.open()
  try {
    let problem: unknown
    for (const { oid } of answers) {
      try {
        return { kind: 'refused', answer: await readAnswer(repository, oid, about) }
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
        problem ??= error
      }
    }
    throw problem
  } finally {
    repository.close()
  }
}

/** Anybody who may push can write such a ref: what is in it counts by its signature. */
async function readAnswer(
  repository: GitRepository,
  oid: Oid,
  { name, snapshot }: { readonly name: string; readonly snapshot: Snapshot },
): Promise<Answer> {
  const object = await repository.objects().read(oid, MAX_ENVELOPE_BYTES)
  if (object?.type !== 'blob') throw untrusted('it is no file')
  const envelope = parseEnvelope(object.body)
  const line = (await policyRecordOf(snapshot))?.statement.predicate.sealKey
  const key = line === undefined ? null : parseKeyLine(line, 'the seal key')
  const problem =
    key === null ? 'the ledger names no seal key' : checkServerEnvelope(parseSignatures(envelope), key)
  if (problem !== null) throw untrusted(problem)
  const answer = parseAnswer(payloadBytes(envelope))
  if (answer.about !== name) throw untrusted('it is about something else')
  return answer
}

function untrusted(why: string): HeadgateError {
  return new HeadgateError('data', `the answer on the host is not the relay's: ${why}`, {
    hint: 'somebody who may push there made it up; ask again, and look for who did',
  })
}
