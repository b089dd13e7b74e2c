/** How much is done at once: so many in all and so many for one key, so that one that hangs takes no more than its share. */
import { HeadgateError } from '../../src/core/errors.ts'

export type SlotLimits = {
  readonly total: number
  readonly each: number
  /** Who gets no slot for so long is turned away, and who waits while none was given back for so long. */
  readonly patienceMs: number
  readonly standstillMs: number
}

type Waiting = {
  readonly key: string
  readonly enter: () => void
  readonly leave: (error: HeadgateError) => void
}

export class Slots {
  readonly #limits: SlotLimits
  readonly #taken = new Map<string, number>()
  readonly #waiting = new Set<Waiting>()
  #total = 0
  #returnedAtMs = 0
  #closed: HeadgateError | undefined

  constructor(limits: SlotLimits) {
    this.#limits = limits
  }

  /** Does `work` as soon as there is a slot for `key`, in the order of arrival. Throws HeadgateError 'unavailable'. */
  async use<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw this.#closed
    if (this.#isFree(key)) this.#take(key)
    else await this.#wait(key)
    try {
      return await work()
    } finally {
      this.#giveBack(key)
    }
  }

  /** Whoever waits, and whoever comes from now on, is told this. */
  close(reason: HeadgateError): void {
    this.#closed = reason
    for (const { leave } of [...this.#waiting]) leave(reason)
  }

  #isFree(key: string): boolean {
    return this.#total < this.#limits.total && (this.#taken.get(key) ?? 0) < this.#limits.each
  }

  #take(key: string): void {
    this.#total += 1
    this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1)
  }

  #giveBack(key: string): void {
    this.#total -= 1
    this.#returnedAtMs = performance.now()
    const left = (this.#taken.get(key) ?? 0) - 1
    if (left > 0) this.#taken.set(key, left)
    else this.#taken.delete(key)
    for (const waiting of this.#waiting) {
      if (!this.#isFree(waiting.key)) continue
      waiting.enter()
      return
    }
  }

  #wait(key: string): Promise<void> {
    const { patienceMs, standstillMs } = this.#limits
    const start = performance.now()
    return new Promise((resolve, reject) => {
      const look = () => {
        const now = performance.now()
        const left = Math.min(
          start + patienceMs - now,
          Math.max(start, this.#returnedAtMs) + standstillMs - now,
        )
        if (left > 0) timer = setTimeout(look, left)
        else waiting.leave(new HeadgateError('unavailable', 'the service is busy with others'))
      }
      const waiting: Waiting = {
        key,
        enter: () => {
          this.#waiting.delete(waiting)
          clearTimeout(timer)
          this.#take(key)
          resolve()
        },
        leave: (error) => {
          this.#waiting.delete(waiting)
          clearTimeout(timer)
          reject(error)
        },
      }
      let timer = setTimeout(look, Math.min(patienceMs, standstillMs))
      this.#waiting.add(waiting)
    })
  }
}
