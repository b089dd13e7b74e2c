/**
 * Small objects that were read or written lately, by the name that they were asked by. An object never changes, so that
 * it may be kept; a service decides about the same policy and ledger all day.
 */
import type { GitObject } from './git-object.ts'

/** The ledger's trees and the policy are some 30 KiB; a service keeps this much for each repository. */
const MAX_TOTAL_BYTES = 256 * 1024
const MAX_OBJECT_BYTES = 32 * 1024

export class RecentObjects {
  /** Oldest use first. */
  readonly #objects = new Map<string, GitObject>()
  #bytes = 0

  get(name: string): GitObject | undefined {
    const object = this.#objects.get(name)
    if (object === undefined) return undefined
    this.#objects.delete(name)
    this.#objects.set(name, object)
    return object
  }

  keep(name: string, object: GitObject): void {
    if (object.size > MAX_OBJECT_BYTES || this.#objects.has(name)) return
    // What git printed comes in parts of 64 KiB, and a view of one would keep all of it.
    this.#objects.set(name, { ...object, body: Buffer.from(new Uint8Array(object.body).buffer) })
    this.#bytes += object.size
    for (const [oldest, { size }] of this.#objects) {
      if (this.#bytes <= MAX_TOTAL_BYTES) return
      this.#objects.delete(oldest)
      this.#bytes -= size
    }
  }
}
