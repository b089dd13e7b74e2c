import { isDeepStrictEqual } from 'node:util'
import type { Appended, Head, Ledger, NewRecord, PreparedAppend, Stale } from '../src/ledger/ledger.ts'

/**
 * An append that is made ready while its turn is waited for. It is taken only if the turn finds the very same to record
 * on the very same head.
 */
export class ReadyAppend {
  readonly #ledger: Ledger
  #ready: { readonly what: unknown; readonly append: Promise<PreparedAppend> } | undefined

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  prepare(head: Head, records: readonly NewRecord[]): void {
    const append = this.#ledger.prepare(head, records)
    // Whoever takes it hears of it.
    append.catch(() => {})
    this.#ready = { what: [head, records], append }
  }

  async append(head: Head, records: readonly NewRecord[]): Promise<Appended | Stale> {
    const ready = this.#ready
    this.#ready = undefined
    if (ready === undefined || !isDeepStrictEqual(ready.what, [head, records]))
      return this.#ledger.append(head, records)
    return (await ready.append).commit()
  }
}
