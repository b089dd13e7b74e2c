/**
 * The commits behind some tips, or those of them that other commits do not contain, in memory: each id once, parents as
 * numbers. A million commits take some 60 MB, and an ancestry question no process.
 */
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid } from '../core/oid.ts'

/** git's own limit of what rev-list prints on a line is none; an octopus merge of a thousand is already odd. */
const MAX_LINE_BYTES = 1024 * 1024

export class CommitGraph {
  readonly #ids: IdTable
  /** Of each id whether its commit was listed, or only named as the parent of one. */
  readonly #listed: Uint8Array
  /** The parents of commit n are those at `#first[n]` up to `#first[n + 1]`. */
  readonly #first: Int32Array
  readonly #parents: Int32Array
  /** Longer than the longest way down to a root: an ancestor's is smaller. */
  readonly #generations: Int32Array
  readonly #seen: Int32Array
  #round = 0

  private constructor(ids: IdTable, listed: Uint8Array, first: Int32Array, parents: Int32Array) {
    this.#ids = ids
    this.#listed = listed
    this.#first = first
    this.#parents = parents
    this.#generations = generationsOf(first, parents)
    this.#seen = new Int32Array(ids.size)
  }

  /**
   * Reads `git rev-list --parents`: lines of full ids, a commit and its parents. Throws HeadgateError 'unavailable' if
   * that is not what it gets.
   */
  static async read(output: AsyncIterable<Buffer>, oidLength: 40 | 64): Promise<CommitGraph> {
    const ids = new IdTable(oidLength / 2)
    const edges = new Numbers()
    // Where the edges of a commit begin, by its number; a parent is numbered when it is first named.
    const starts = new Numbers()
    const own = new Numbers()
    await eachLine(output, (bytes, start, end) => {
      for (let at = start; at <= end; at += oidLength + 1) {
        const number = ids.add(bytes, at, end)
        if (at === start) {
          own.push(number)
          starts.push(edges.length)
        } else edges.push(number)
      }
    })
    starts.push(edges.length)
    const first = new Int32Array(ids.size + 1)
    const listed = new Uint8Array(ids.size)
    for (let row = 0; row < own.length; row++) {
      first[own.at(row) + 1] = starts.at(row + 1) - starts.at(row)
      listed[own.at(row)] = 1
    }
    for (let n = 0; n < ids.size; n++) first[n + 1]! += first[n]!
    const parents = new Int32Array(edges.length)
    for (let row = 0; row < own.length; row++) {
      let to = first[own.at(row)]!
      for (let from = starts.at(row); from < starts.at(row + 1); from++) parents[to++] = edges.at(from)
    }
    return new CommitGraph(ids, listed, first, parents)
  }

  get size(): number {
    return this.#ids.size
  }

  has(oid: Oid): boolean {
    return this.#find(oid) !== -1
  }

  /**
   * The number of a commit whose parents are known, or -1. Of one that was only named nothing is known: it may contain
   * others that were named, too.
   */
  #find(oid: Oid): number {
    const number = this.#ids.find(oid)
    return number !== -1 && this.#listed[number] === 1 ? number : -1
  }

  /**
   * Whether `descendant` contains `ancestor`; a commit contains itself. Null if one of them is not in the graph. What
   * a commit that is left out contains is left out, too, so that between two that are in it nothing is missing.
   */
  isAncestor(ancestor: Oid, descendant: Oid): boolean | null {
    const [wanted, start] = [this.#find(ancestor), this.#find(descendant)]
    if (wanted === -1 || start === -1) return null
    const floor = this.#generations[wanted]!
    this.#round += 1
    const stack = [start]
    this.#seen[start] = this.#round
    while (stack.length > 0) {
      const commit = stack.pop()!
      if (commit === wanted) return true
      // The first parent is looked at first: it is what a branch was before.
      for (let edge = this.#first[commit + 1]! - 1; edge >= this.#first[commit]!; edge--) {
        const parent = this.#parents[edge]!
        if (this.#seen[parent] === this.#round || this.#generations[parent]! < floor) continue
        this.#seen[parent] = this.#round
        stack.push(parent)
      }
    }
    return false
  }
}

function generationsOf(first: Int32Array, parents: Int32Array): Int32Array {
  const count = first.length - 1
  const generations = new Int32Array(count)
  const stack: number[] = []
  for (let commit = 0; commit < count; commit++) {
    if (generations[commit] !== 0) continue
    stack.push(commit)
    while (stack.length > 0) {
      const top = stack.at(-1)!
      let highest = 0
      let waiting = false
      for (let edge = first[top]!; edge < first[top + 1]!; edge++) {
        const generation = generations[parents[edge]!]!
        if (generation === 0) {
          waiting = true
          stack.push(parents[edge]!)
        } else if (generation > highest) highest = generation
      }
      if (waiting) continue
      generations[top] = highest + 1
      stack.pop()
    }
  }
  return generations
}

/** A list of numbers that grows. */
class Numbers {
  #items = new Int32Array(1024)
  length = 0

  push(value: number): void {
    if (this.length === this.#items.length) {
      const larger = new Int32Array(this.length * 2)
      larger.set(this.#items)
      this.#items = larger
    }
    this.#items[this.length++] = value
  }

  at(index: number): number {
    return this.#items[index]!
  }
}

/** Ids by their bytes, as numbers of 32 bits in one array, found through a table with open addressing. */
class IdTable {
  readonly #words: number
  #ids: Int32Array
  #slots = new Int32Array(4096).fill(-1)
  size = 0

  constructor(bytes: number) {
    this.#words = bytes / 4
    this.#ids = new Int32Array(this.#words * 1024)
  }

  /** Adds the id that stands in hex at `at` of a line, and returns its number. */
  add(line: Buffer, at: number, end: number): number {
    const words = this.#words
    if (at + 8 * words > end) throw garbled()
    if ((this.size + 1) * words > this.#ids.length) {
      const larger = new Int32Array(this.#ids.length * 2)
      larger.set(this.#ids)
      this.#ids = larger
    }
    const start = this.size * words
    for (let word = 0; word < words; word++) {
      let value = 0
      for (let digit = at + 8 * word; digit < at + 8 * word + 8; digit++) {
        const four = DIGITS[line[digit]!]!
        if (four > 15) throw garbled()
        value = (value << 4) | four
      }
      this.#ids[start + word] = value
    }
    const slot = this.#slotOf(this.#ids, start)
    const known = this.#slots[slot]!
    if (known !== -1) return known
    this.#slots[slot] = this.size
    this.size += 1
    if (this.size * 2 > this.#slots.length) this.#grow()
    return this.size - 1
  }

  find(oid: Oid): number {
    if (!isOid(oid) || oid.length !== 8 * this.#words) return -1
    const id = Int32Array.from({ length: this.#words }, (_, word) =>
      Number.parseInt(oid.slice(8 * word, 8 * word + 8), 16),
    )
    return this.#slots[this.#slotOf(id, 0)]!
  }

  /** Ids are hashes: their first bits are as good as any. */
  #slotOf(ids: Int32Array, at: number): number {
    const mask = this.#slots.length - 1
    const words = this.#words
    let slot = ids[at]! & mask
    search: for (;;) {
      const number = this.#slots[slot]!
      if (number === -1) return slot
      slot = (slot + 1) & mask
      for (let word = 0; word < words; word++)
        if (this.#ids[number * words + word] !== ids[at + word]) continue search
      return (slot - 1) & mask
    }
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1)
    for (let number = 0; number < this.size; number++)
      this.#slots[this.#slotOf(this.#ids, number * this.#words)] = number
  }
}

/** The value of a hex digit by its character code; 99 for any other character. */
const DIGITS = new Uint8Array(256).fill(99)
for (const [value, digit] of [...'0123456789abcdef'].entries()) DIGITS[digit.charCodeAt(0)] = value

/** One call a line, not one promise: there may be a million. */
async function eachLine(
  output: AsyncIterable<Buffer>,
  handle: (bytes: Buffer, start: number, end: number) => void,
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of output) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      handle(bytes, start, end)
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (rest.length > MAX_LINE_BYTES) throw garbled()
  }
  if (rest.length > 0) throw garbled()
}

function garbled(): HeadgateError {
  return new HeadgateError('unavailable', 'git rev-list did not list commits and their parents')
}
