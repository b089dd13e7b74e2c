import { isDeepStrictEqual } from 'node:util'

/**
 * What was read of objects while one push is judged. Objects never change, so that another look need not read them
 * again: the same question has the same answer.
 */
export class ReadOnce {
  readonly #known: { readonly about: unknown; readonly answer: Promise<unknown> }[] = []

  has(about: unknown): boolean {
    return this.#known.some((known) => isDeepStrictEqual(known.about, about))
  }

  /** `about` is all that the answer depends on, besides the objects. */
  get<T>(about: unknown, read: () => Promise<T>): Promise<T> {
    const known = this.#known.find((one) => isDeepStrictEqual(one.about, about))
    if (known !== undefined) return known.answer as Promise<T>
    const answer = read()
    this.#known.push({ about, answer })
    // What failed may go well the next time.
    answer.catch(() => {
      const index = this.#known.findIndex((one) => one.answer === answer)
      if (index >= 0) this.#known.splice(index, 1)
    })
    return answer
  }
}
