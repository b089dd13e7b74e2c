/**
 * The form in which moves were guarded. In the full one the server's reference-transaction hook holds the branch to what
 * was authorized; where a host runs no such hook, or it was taken away, the guard has its weaker form. Each
 * authorization says which one it was; those of older versions say nothing.
 */
import type { LedgerRecord } from '../ledger/ledger.ts'
import type { Findings } from './finding.ts'

export class GuardForm {
  readonly #findings: Findings
  #isWeaker: boolean

  /** `isWeaker`: at the end of what was verified before. */
  constructor(findings: Findings, isWeaker: boolean) {
    this.#findings = findings
    this.#isWeaker = isWeaker
  }

  get isWeaker(): boolean {
    return this.#isWeaker
  }

  /** Tells of each change from one form to the other. Call it in order. */
  add({ seq, at, statement }: LedgerRecord): void {
    if (statement.kind !== 'authorization') return
    const { referenceTransaction } = statement.predicate['urn:headgate:move'].facts
    if (typeof referenceTransaction !== 'boolean' || referenceTransaction === !this.#isWeaker) return
    this.#isWeaker = !referenceTransaction
    this.#findings.add({
      rule: 'installation',
      record: seq,
      at,
      commit: statement.commit,
      ...(this.#isWeaker
        ? {
            grade: 'exception',
            found:
              "the weaker form of the guard is in use from here on: without headgate's reference-transaction hook a move of the branch by anything but a push is found afterwards, and not refused",
            fix: 'headgate doctor, on the server, says why it is not there',
          }
        : {
            grade: 'note',
            found: 'the full form of the guard is in use again from here on',
            fix: 'look at the moves before it, which were made under the weaker form',
          }),
    })
  }
}
