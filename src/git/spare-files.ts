/**
 * Empty files that were made before they are needed. On a journalling file system making a file takes longer than
 * writing and renaming it, so that a few are made ahead, beside the reading that a decision starts with.
 */
import { randomBytes } from 'node:crypto'
import { constants, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type OpenFile, openSoon } from './files.ts'

export type SpareFile = { readonly path: string; readonly file: OpenFile }

/** Without a use for this long they are given back. */
const IDLE_MS = 10_000

export class SpareFiles {
  readonly #directory: string
  readonly #count: number
  #ready: SpareFile[] = []
  readonly #coming = new Set<Promise<void>>()
  #closed = false
  #idle: NodeJS.Timeout | undefined

  /** `count` files at a time in `directory`, on whose file system they will be used. */
  constructor(directory: string, count: number) {
    this.#directory = directory
    this.#count = count
  }

  /** Makes as many as are missing, in the background. Where that fails, nobody gets one. */
  fill(): void {
    if (this.#closed) return
    while (this.#ready.length + this.#coming.size < this.#count) {
      const making: Promise<void> = this.#make().finally(() => this.#coming.delete(making))
      this.#coming.add(making)
    }
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.#giveBack(), IDLE_MS).unref()
  }

  take(): SpareFile | undefined {
    for (;;) {
      const spare = this.#ready.pop()
      // An impatient `git prune` may have removed it meanwhile.
      if (spare === undefined || existsSync(spare.path)) return spare
      remove(spare)
    }
  }

  /** Removes what was not used, and what is still being made. A process that ends before leaves them to `git gc`. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#idle)
    this.#giveBack()
    await Promise.all(this.#coming)
  }

  async #make(): Promise<void> {
    // The name that git gives its own, so that `git gc` removes what a crash leaves.
    const path = join(this.#directory, `tmp_obj_${randomBytes(8).toString('hex')}`)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
    const file = await openSoon(path, flags, 0o444).catch(() => null)
    if (file === null) return
    if (this.#closed) remove({ path, file })
    else this.#ready.push({ path, file })
  }

  #giveBack(): void {
    for (const spare of this.#ready.splice(0)) remove(spare)
  }
}

/** Never throws: a disk that takes nothing any more must not end a service that has others. */
function remove({ path, file }: SpareFile): void {
  file.close()
  try {
    rmSync(path, { force: true })
  } catch {
    // `git gc` removes it.
  }
}
