/** The policies of a ledger as its records bring them, each checked when it comes. */
import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { type PolicyInForce, parsePolicyFiles } from '../guard/policy-in-force.ts'
import type { LedgerRecord, PolicyFiles } from '../ledger/ledger.ts'
import type { SshKey } from '../signing/ssh-key.ts'
import type { Findings } from './finding.ts'
import { differenceOfPolicies } from './policy-difference.ts'
import { parseSealKey } from './trust-anchors.ts'

/** Changes that a finding lists: 8192 characters are what an auditor remembers of one. */
const MAX_TOLD = 20

export class PolicyBook {
  readonly #findings: Findings
  #current: PolicyInForce | null = null
  #version = 0

  constructor(findings: Findings) {
    this.#findings = findings
  }

  /** The policy in force; null before the first one, and after one that cannot be read. */
  get current(): PolicyInForce | null {
    return this.#current
  }

  /** The seal key that the policy in force names. */
  get sealKey(): SshKey | null {
    return this.#sealKey
  }

  #sealKey: SshKey | null = null

  /** Goes on from an earlier audit. Throws HeadgateError 'configuration' if these files do not parse. */
  resume(files: PolicyFiles, statesKeys: boolean): void {
    this.#current = { ...parsePolicyFiles(files), statesKeys }
    this.#version = files.version
  }

  /** Puts a policy record's policy in force. False if it cannot be read. */
  add(record: LedgerRecord): boolean {
    const { statement } = record
    if (statement.kind !== 'policy') return true
    const { version, policy, allowedSigners, sealKey } = statement.predicate
    const object = (found: string, fix: string) =>
      this.#findings.add({
        grade: 'violation',
        rule: 'policy',
        record: record.seq,
        at: record.at,
        commit: statement.commit,
        found,
        fix,
      })
    if (version !== this.#version + 1) {
      object(
        `it puts version ${version} in force, and version ${this.#version} was before it`,
        'an old policy may have come back: compare it with the one that was reviewed',
      )
    }
    this.#version = version
    for (const [name, { text, digest }] of Object.entries({
      'policy.yaml': policy,
      allowed_signers: allowedSigners,
    })) {
      if (text.isWellFormed() && sha256(text) === digest.sha256) continue
      object(`its ${name} is not the text of its digest`, 'ask the server admin which text was meant')
    }
    this.#sealKey = null
    try {
      this.#sealKey = parseSealKey(sealKey)
      const files = { version, policy: policy.text, allowedSigners: allowedSigners.text }
      const before = this.#current
      const statesKeys = statement.predicate.former !== undefined
      this.#current = { ...parsePolicyFiles(files), statesKeys }
      if (before !== null) this.#tellChanges(record, before, this.#current)
      if (statement.repository !== this.#current.policy.repository)
        object('it is about another repository than its policy', 'ask the server admin')
      this.#remark(record, this.#current)
      return true
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      this.#current = null
      object(
        `its policy cannot be read: ${error.message}`,
        'a newer headgate may be needed, or the record was changed',
      )
      return false
    }
  }

  /** One finding for what weakens and one for the rest: a thousand names that are put in hide no other finding. */
  #tellChanges(record: LedgerRecord, before: PolicyInForce, after: PolicyInForce): void {
    const changes = differenceOfPolicies(before, after)
    for (const weakens of [true, false]) {
      const texts = changes.filter((change) => change.weakens === weakens).map(({ text }) => text)
      if (texts.length === 0) continue
      const more = texts.length > MAX_TOLD ? `; and ${texts.length - MAX_TOLD} more` : ''
      this.#findings.add({
        grade: weakens ? 'exception' : 'note',
        rule: 'policy',
        record: record.seq,
        at: record.at,
        commit: record.statement.commit,
        found: `policy version ${after.version}, by ${printable(record.by, 80)}, ${weakens ? 'weakens' : 'changes'}: ${texts
          .slice(0, MAX_TOLD)
          .map((text) => printable(text, 300))
          .join('; ')}${more}`,
        fix: weakens
          ? 'ask who decided that, and why; all of it: headgate log --kind policy'
          : 'all of it: headgate log --kind policy',
      })
    }
  }

  #remark(record: LedgerRecord, { policy, version }: PolicyInForce): void {
    const add = (grade: 'exception' | 'note', found: string, fix: string) =>
      this.#findings.add({
        grade,
        rule: 'installation',
        record: record.seq,
        at: record.at,
        commit: record.statement.commit,
        found,
        fix,
      })
    if (policy.enforcement === 'evaluate') {
      add(
        'exception',
        `policy version ${version} only evaluates: nothing was refused while it was in force`,
        'set enforcement: enforce and apply it, once the guard is trusted',
      )
    }
    if (policy.evidence.servedCommit === 'ignore') {
      add(
        'note',
        `under policy version ${version} nobody asks which commit staging serves`,
        'let the application report its commit, and set evidence.servedCommit: required',
      )
    }
  }
}
