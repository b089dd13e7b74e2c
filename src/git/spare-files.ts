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
  #coming = 0
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
    for (; this.#ready.length + this.#coming < this.#count; this.#coming++) void this.#make()
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

  /** Removes what was not used. A process that dies first leaves them to `git gc`. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#idle)
    this.#giveBack()
  }

  async #make(): Promise<void> {
    // The name that git gives its own, so that `git gc` removes what a crash leaves.
    const path = join(this.#directory, `tmp_obj_${randomBytes(8).toString('hex')}`)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
    const file = await openSoon(path, flags, 0o444).catch(() => null)
    this.#coming--
    if (file === null) return
    if (this.#closed) remove({ path, file })
    else this.#ready.push({ path, file })
  }

  #giveBack(): void {
    for (const spare of this.#ready.splice(0)) remove(spare)
  }
}

function remove({ path, file }: SpareFile): void {
  rmSync(path, { force: true })
  file.close()
}
