/**
 * Takes the place of `Intl.Segmenter` in the bundle. Libraries make theirs while they load, which takes some 20 ms each
 * time although only a text with other than ASCII characters ever needs one.
 */
export class LazySegmenter {
  #made: Intl.Segmenter | undefined

  segment(text: string): Intl.Segments {
    this.#made ??= new globalThis.Intl.Segmenter()
    return this.#made.segment(text)
  }
}
