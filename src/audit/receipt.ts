/**
 * A receipt: one move, with all that it rests on, to be checked without the ledger and without a repository.
 *
 *     {"receipt": "urn:headgate:receipt:v1", "authorization": 34, "head": {"seq": 57, "hash": "..."},
 *      "records": ["<canonical record>", ...], "objects": [{"type": "commit", "body": "<base64>"}, ...]}
 *
 * `records` are the policy in force, what was submitted about the commit before the move, the authorization, its
 * outcome, and the last record, each as it stands in the ledger. `objects` are git's: the ledger commit of the head, and
 * the trees from it down to each record. The ids of the objects tie the records to the head; the seals tie all to the
 * server.
 */
import { canonicalJson } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { escapeJson, jsonText } from '../core/printable.ts'
import * as z from '../core/zod-mini.ts'
import { objectId } from '../git/object-id.ts'
import type { GitRepository } from '../git/repository.ts'
import { parseTree } from '../git/tree.ts'
import { envelopeDigest, isSubmitted, judgeSigner } from '../guard/gather-history.ts'
import { type PolicyInForce, parsePolicyFiles } from '../guard/policy-in-force.ts'
import { checkSeal, checkServerEnvelope, parseSeal, SealKeys } from '../guard/seal-check.ts'
import { listEntries, readEntries } from '../ledger/entry-list.ts'
import { entryPath } from '../ledger/ledger-tree.ts'
import { type LedgerRecord, parseRecord } from '../ledger/record.ts'
import { parseSignatures } from '../signing/envelope-verify.ts'
import { wrongCircumstances } from './stated-facts.ts'
import type { TrustAnchors } from './trust-anchors.ts'

const TYPE = 'urn:headgate:receipt:v1'

/** Records of a megabyte each, and the trees above them. */
export const MAX_RECEIPT_BYTES = 64 * 1024 * 1024

const schema = z.strictObject({
  receipt: z.literal(TYPE),
  authorization: z.int().check(z.positive()),
  head: z.strictObject({
    seq: z.int().check(z.positive()),
    hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  }),
  records: z.array(z.string()).check(z.minLength(3), z.maxLength(10_000)),
  objects: z
    .array(z.strictObject({ type: z.enum(['commit', 'tree']), body: z.base64() }))
    .check(z.maxLength(10_000)),
})

/** Makes the receipt of the move that record `seq` authorized. Throws HeadgateError 'usage' if it authorized none. */
export async function makeReceipt(repository: GitRepository, tip: Oid, seq: number): Promise<string> {
  const entries = await listEntries(repository, tip)
  const own = entries.find((entry) => entry.seq === seq)
  const head = entries.at(-1)
  if (own?.kind !== 'authorization' || head === undefined) {
    throw new HeadgateError('usage', `record ${seq} authorizes no move`, {
      hint: 'headgate log lists the moves, each with its record',
    })
  }
  const about = entries.filter(
    (entry) => entry.commit === own.commit && (entry.seq < seq || entry.kind === 'outcome'),
  )
  const policies = [own, ...about].map((of) =>
    entries.findLast((entry) => entry.kind === 'policy' && entry.seq < of.seq),
  )
  const wanted = [...new Set([...policies, ...about, own, head])].filter((entry) => entry !== undefined)
  const records: LedgerRecord[] = []
  for await (const record of readEntries(
    repository,
    wanted.toSorted((a, b) => a.seq - b.seq),
  )) {
    const { statement } = record
    // An outcome of another move to the same commit says nothing about this one.
    const foreign = statement.kind === 'outcome' && statement.predicate.authorization !== seq
    if (!foreign || record.seq === head.seq) records.push(record)
  }
  const last = records.at(-1)
  const objects = new Map<Oid, { type: string; body: string }>()
  for (const record of records) await addPath(repository, tip, entryPath(record), objects)
  return jsonText({
    receipt: TYPE,
    authorization: seq,
    head: { seq: last?.seq, hash: last?.hash },
    records: records.map(({ bytes }) => bytes.toString('utf8')),
    objects: [...objects.values()],
  })
}

async function addPath(
  repository: GitRepository,
  tip: Oid,
  path: string,
  objects: Map<Oid, { type: string; body: string }>,
): Promise<void> {
  const add = async (oid: Oid) => {
    const object = await repository.objects().read(oid)
    if (object === null) throw new HeadgateError('data', `object ${oid} of the ledger is missing`)
    objects.set(oid, { type: object.type, body: object.body.toString('base64') })
    return object.body
  }
  let body = await add(treeOf(await add(tip)))
  for (const name of path.split('/').slice(0, -1)) {
    const next = parseTree(body, repository.oidLength === 40 ? 20 : 32).find((entry) => entry.name === name)
    if (next === undefined) throw new HeadgateError('data', `the ledger has no ${path}`)
    body = await add(next.oid)
  }
}

function treeOf(commit: Buffer): Oid {
  return /^tree ([0-9a-f]+)\n/.exec(commit.toString('latin1', 0, 80))?.[1] ?? ''
}

export type ReceiptVerdict = {
  readonly repository: string
  readonly kind: string
  readonly ref: string
  readonly from: Oid
  readonly to: Oid
  readonly by: string
  readonly at: string
  /** Whether the rules allowed it; false only in evaluate mode. */
  readonly passed: boolean
  /** A receipt cannot show that there is none. */
  readonly outcome: 'landed' | 'not-landed' | 'not-shown'
  readonly signedBy: readonly string[]
  /** The ledger commit that holds all of it. */
  readonly ledgerCommit: Oid
  readonly head: { readonly seq: number; readonly hash: string }
}

/** Checks a receipt. Throws HeadgateError 'data' where it is none, 'refused' where it tells of a breach, 'configuration' without a seal key. */
export async function checkReceipt(bytes: Uint8Array, anchors: TrustAnchors | null): Promise<ReceiptVerdict> {
  if (anchors === null || anchors.sealKeys.length === 0) {
    throw new HeadgateError(
      'configuration',
      "a receipt is checked by the server's seal key, and none was given",
      {
        hint: "--trust FILE, with the server's seal-key.pub in it",
      },
    )
  }
  const { receipt, records } = parseReceipt(bytes)
  await checkSeals(records, anchors)
  const last = records.at(-1)
  if (last?.seq !== receipt.head.seq || last.hash !== receipt.head.hash)
    throw wrong('the last record is not the head that it names')
  const ledgerCommit = checkObjects(receipt.objects, records)
  const authorization = records.find(({ seq }) => seq === receipt.authorization)
  if (authorization?.statement.kind !== 'authorization') throw wrong('its authorization is missing')
  const { predicate } = authorization.statement
  const move = predicate['urn:headgate:move']
  const inForce = policyBefore(records, authorization.seq)
  const [difference] = wrongCircumstances(authorization, inForce)
  if (difference !== undefined) throw breach(difference)
  const signedBy = predicate.inputAttestations.map(({ digest }) =>
    signerOf(records, digest.sha256, authorization),
  )
  const passed = predicate.verificationResult === 'PASSED'
  if (passed && move.kind !== 'bootstrap' && signedBy.length === 0) throw breach('its move rests on nothing')
  const outcome = records.find(
    ({ seq, statement }) =>
      seq > authorization.seq &&
      statement.kind === 'outcome' &&
      statement.predicate.authorization === authorization.seq,
  )
  const { kind, ref, from, to } = move
  return {
    repository: inForce.policy.repository,
    kind,
    ref,
    from,
    to,
    by: authorization.by,
    at: authorization.at,
    passed,
    outcome: outcome?.statement.kind === 'outcome' ? outcome.statement.predicate.result : 'not-shown',
    signedBy,
    ledgerCommit,
    head: receipt.head,
  }
}

function parseReceipt(bytes: Uint8Array) {
  if (bytes.length > MAX_RECEIPT_BYTES) throw wrong('it is too large')
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (cause) {
    throw new HeadgateError('data', 'the receipt is not JSON', { cause })
  }
  const parsed = schema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw wrong(`it is malformed: ${issue?.path.map(String).join('.')}: ${issue?.message}`)
  }
  const records = parsed.data.records.map((text) => parseRecord(Buffer.from(text, 'utf8')))
  if (records.some(({ seq }, index) => index > 0 && seq <= (records[index - 1]?.seq ?? 0)))
    throw wrong('its records are out of order')
  return { receipt: parsed.data, records }
}

async function checkSeals(records: readonly LedgerRecord[], anchors: TrustAnchors): Promise<void> {
  const seals = new SealKeys(anchors.sealKeys)
  for (const record of records) {
    const { key, problem } = checkSeal(parseSeal(record))
    const objection = key === null ? 'it names no key' : (problem ?? seals.objectionTo(key))
    if (objection !== null) throw wrong(`the seal of record ${record.seq} does not hold: ${objection}`)
    const pinned = anchors.records.get(record.seq)
    if (pinned !== undefined && pinned !== record.hash)
      throw wrong(`record ${record.seq} is not the pinned one`)
    if (key === null || isSubmitted(record.statement.kind)) continue
    const unsigned = checkServerEnvelope(parseSignatures(record.envelope), key)
    if (unsigned !== null) throw wrong(`the signature of record ${record.seq} does not hold: ${unsigned}`)
  }
}

/** Goes from the ledger commit, whose id the objects make, down to each record. */
function checkObjects(objects: z.output<typeof schema>['objects'], records: readonly LedgerRecord[]): Oid {
  for (const length of [40, 64] as const) {
    const known = new Map(
      objects.map(({ type, body }) => {
        const bytes = Buffer.from(body, 'base64')
        return [objectId(type, bytes, length), { type, bytes }] as const
      }),
    )
    const commits = [...known].filter(([, { type }]) => type === 'commit')
    const [commit] = commits
    if (commits.length !== 1 || commit === undefined) throw wrong('it must hold one ledger commit')
    const root = known.get(treeOf(commit[1].bytes))
    if (root === undefined) continue
    for (const record of records) {
      let entries = parseTree(root.bytes, length === 40 ? 20 : 32)
      const path = entryPath(record).split('/')
      for (const [index, name] of path.entries()) {
        const entry = entries.find((candidate) => candidate.name === name)
        const isFile = index === path.length - 1
        const next = isFile || entry === undefined ? undefined : known.get(entry.oid)
        if (isFile ? entry?.oid !== objectId('blob', record.bytes, length) : next === undefined)
          throw wrong(`record ${record.seq} is not in the ledger commit`)
        if (next !== undefined) entries = parseTree(next.bytes, length === 40 ? 20 : 32)
      }
    }
    return commit[0]
  }
  throw wrong('the tree of its ledger commit is missing')
}

function policyBefore(records: readonly LedgerRecord[], seq: number): PolicyInForce {
  const policy = records.findLast((record) => record.seq < seq && record.statement.kind === 'policy')
  if (policy?.statement.kind !== 'policy') throw wrong('the policy in force is missing')
  const { version, policy: text, allowedSigners } = policy.statement.predicate
  return parsePolicyFiles({ version, policy: text.text, allowedSigners: allowedSigners.text })
}

function signerOf(
  records: readonly LedgerRecord[],
  digest: string,
  { seq, statement }: LedgerRecord,
): string {
  const input = records.find((record) => record.seq < seq && envelopeDigest(record.envelope) === digest)
  const kind = input?.statement.kind
  if (input === undefined || kind === undefined || !isSubmitted(kind))
    throw wrong(`the statement ${digest} that the move rests on is missing`)
  if (input.statement.commit !== statement.commit)
    throw breach(`the statement ${digest} is about another commit`)
  const { signers } = policyBefore(records, input.seq)
  const signer = judgeSigner(input.envelope, kind, signers, Date.parse(input.at))
  if (!signer.trusted)
    throw wrong(`the ${kind} in record ${input.seq} is not signed by a trusted key: ${signer.reason}`)
  return `${kind} by ${signer.principal} (${signer.fingerprint})`
}

/** It is no receipt: what it is made of does not fit together. */
function wrong(what: string): HeadgateError {
  return new HeadgateError('data', `the receipt does not hold: ${what}`)
}

/** It is one, and the server recorded what it must not. */
function breach(what: string): HeadgateError {
  return new HeadgateError('refused', `the receipt does not hold: ${what}`)
}

/** The envelopes of all statements about a commit, one a line: an in-toto bundle (`.intoto.jsonl`). */
export function bundleOf(records: readonly LedgerRecord[]): string {
  return records.map(({ envelope }) => `${escapeJson(canonicalJson(envelope))}\n`).join('')
}
