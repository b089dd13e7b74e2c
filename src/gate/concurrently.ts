/** Like Promise.all over map, with at most `limit` at work; starts none after one has failed. */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const at = next++
      results[at] = await work(items[at] as T)
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  } finally {
    next = items.length
  }
  return results
}

/** Lets `limit` pieces of work run at any time, in the order in which they ask. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    this.#free = limit
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#free -= 1
    try {
      return await work()
    } finally {
      // The slot goes to the task that waits longest, without ever being free.
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}

/** Where pieces of work wait for each other, until `count` of them are there or `longestMs` have passed. */
export class StartingLine {
  readonly #count: number
  readonly #longestMs: number
  readonly #there = new Set<number>()
  readonly #started = Promise.withResolvers<void>()

  constructor(count: number, longestMs: number) {
    this.#count = count
    this.#longestMs = longestMs
  }

  /** The piece of work with this number need not be waited for any more. */
  arrive(number: number): void {
    if (this.#there.size === 0) setTimeout(this.#started.resolve, this.#longestMs).unref()
    if (this.#there.add(number).size >= this.#count) this.#started.resolve()
  }

  wait(number: number): Promise<void> {
    this.arrive(number)
    return this.#started.promise
  }
}
