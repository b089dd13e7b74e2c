/**
 * Whether the server's seal key vouches for a release: its authorization, that it landed, and that nothing newer moved
 * the branch, by sealed records from the head of the ledger back to the authorization. Nothing else of the ledger is
 * believed, its state file least. The records do not show whether there are newer ones that a server
 * holds back: a head that is known from elsewhere (`record NUMBER HASH`) must be among them.
 */
import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import type { PolicyInForce } from '../guard/policy-in-force.ts'
import { checkSeal, checkServerEnvelope, parseSeal, SealKeys } from '../guard/seal-check.ts'
import type { LedgerRecord, Snapshot } from '../ledger/ledger.ts'
import { parseSignatures } from '../signing/envelope-verify.ts'
import type { TrustAnchors } from './trust-anchors.ts'

export type ClaimedRelease = {
  /** Number of the authorization, as the unsealed part of the ledger gives it. */
  readonly seq: number
  /** Full name of the branch. */
  readonly ref: string
  readonly commit: Oid
  /** The policy that names the branch. */
  readonly inForce: PolicyInForce
}

/** What speaks against the claim; nothing if the seal key vouches for it. Throws HeadgateError for what cannot be read. */
export async function sealFindings(
  snapshot: Snapshot,
  claim: ClaimedRelease,
  anchors: TrustAnchors,
): Promise<string[]> {
  const chain = new SealedChain(claim, anchors)
  try {
    for await (const record of snapshot.read(claim.seq)) {
      const problem = await chain.add(record)
      if (problem !== null) return [problem]
    }
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'data') throw error
    return [`the ledger cannot be read from record ${claim.seq} on: ${error.message}`]
  }
  return chain.end()
}

class SealedChain {
  readonly #claim: ClaimedRelease
  readonly #seals: SealKeys
  readonly #pinned: TrustAnchors['records']
  #last: LedgerRecord | null = null
  #hasLanded = false
  /** Digest of the text of the policy that the sealed records put in force. */
  #policyDigest = ''
  /** Newer authorizations of this branch that have no outcome yet, and those of others. */
  readonly #open = new Map<number, { readonly isOurs: boolean }>()

  constructor(claim: ClaimedRelease, { sealKeys, records }: TrustAnchors) {
    this.#claim = claim
    this.#seals = new SealKeys(sealKeys)
    this.#pinned = records
  }

  /** The records from the claimed authorization on, in order. Null, or why no further one can help. */
  async add(record: LedgerRecord): Promise<string | null> {
    const { seq } = record
    const last = this.#last
    if (seq !== (last === null ? this.#claim.seq : last.seq + 1))
      return `record ${seq} stands where ${last === null ? this.#claim.seq : last.seq + 1} should`
    if (last !== null && record.previous !== last.hash)
      return `record ${seq} does not follow record ${last.seq}: the ledger was changed`
    const pinned = this.#pinned.get(seq)
    if (pinned !== undefined && pinned !== record.hash)
      return `record ${seq} is not the one that is known from elsewhere`
    const { key, problem } = checkSeal(parseSeal(record))
    if (problem !== null || key === null) return `the seal of record ${seq} does not hold: ${problem}`
    const foreign = this.#seals.objectionTo(key)
    if (foreign !== null) {
      const what = last === null ? `the authorization (record ${seq})` : `record ${seq}`
      return `${what} is not sealed with that key: ${foreign}`
    }
    this.#last = record
    if (last === null) return await this.#first(record, key)
    return this.#next(record)
  }

  end(): string[] {
    const { seq, inForce, ref } = this.#claim
    const last = this.#last
    if (last === null) return [`the ledger does not hold the authorization, record ${seq}`]
    const missing = [...this.#pinned.keys()].find((number) => number > last.seq)
    if (missing !== undefined)
      return [`the ledger ends with record ${last.seq}, and record ${missing} is known from elsewhere`]
    if (this.#policyDigest !== sha256(inForce.files.policy))
      return [`the policy in the ledger's files is not the one that its records put in force`]
    if (!this.#hasLanded)
      return [`no sealed record says that the move (record ${seq}) landed: ask again in a moment`]
    const [newer] = [...this.#open].find(([, { isOurs }]) => isOurs) ?? []
    if (newer !== undefined)
      return [
        `another move of ${printable(ref)} is authorized (record ${newer}), and what became of it is not recorded yet`,
      ]
    return []
  }

  async #first(record: LedgerRecord, key: Parameters<typeof checkServerEnvelope>[1]): Promise<string | null> {
    const { seq, ref, commit } = this.#claim
    const { statement } = record
    if (statement.kind !== 'authorization') return 'no authorization by the server stands behind the release'
    const problem = checkServerEnvelope(parseSignatures(record.envelope), key)
    if (problem !== null) return `the authorization (record ${seq}) is not signed by that key: ${problem}`
    const { policy, 'urn:headgate:move': move } = statement.predicate
    if (move.ref !== ref || move.to !== commit || statement.commit !== commit)
      return `the authorization (record ${seq}) is of another move`
    this.#policyDigest = policy.digest.sha256
    return null
  }

  #next({ seq, statement }: LedgerRecord): string | null {
    const { ref, seq: ours } = this.#claim
    switch (statement.kind) {
      case 'policy':
        this.#policyDigest = sha256(statement.predicate.policy.text)
        return null
      case 'authorization':
        this.#open.set(seq, { isOurs: statement.predicate['urn:headgate:move'].ref === ref })
        return null
      case 'drift':
        return statement.predicate.ref === ref
          ? `an operator accepted later (record ${seq}) that the branch was moved behind the guard`
          : null
      case 'outcome': {
        const { authorization, result } = statement.predicate
        const newer = this.#open.get(authorization)
        this.#open.delete(authorization)
        if (authorization === ours) {
          if (result === 'not-landed' && !this.#hasLanded) return `the move did not land (record ${seq})`
          // The first outcome of an authorization counts.
          this.#hasLanded = true
          return null
        }
        if (result !== 'landed' || newer?.isOurs === false) return null
        return `a newer move of the branch landed (record ${seq})`
      }
      default:
        return null
    }
  }
}
