/** The file and the ref by which an auditor remembers the ledger that was verified last. */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MAX_REMEMBERED_BYTES, parseRemembered, type Remembered } from '../../audit/remembered.ts'
import { HeadgateError } from '../../core/errors.ts'
import { makeFolder, replaceFile } from '../../git/own-files.ts'

const FOLDER = 'headgate-verified'

export class VerifiedCopy {
  readonly #file: string

  /** `name` is a remote's name as it can stand in a file's. */
  constructor(commonDirectory: string, name: string) {
    this.#file = join(commonDirectory, FOLDER, `${name}.json`)
  }

  get file(): string {
    return this.#file
  }

  /** Null where nothing was verified yet. Throws HeadgateError 'data' if the file is damaged: it is never passed over. */
  read(): Remembered | null {
    let bytes: Buffer
    try {
      if (statSync(this.#file).size > MAX_REMEMBERED_BYTES) throw this.#damaged('it is too large')
      bytes = readFileSync(this.#file)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw cause
    }
    try {
      return parseRemembered(bytes)
    } catch (cause) {
      throw cause instanceof HeadgateError ? this.#damaged(cause.message, cause) : cause
    }
  }

  /** Whole or not at all: a crash leaves the one before. Throws what the system says. */
  write(remembered: Remembered): void {
    makeFolder(dirname(this.#file))
    replaceFile(this.#file, `${JSON.stringify(remembered)}\n`)
  }

  #damaged(why: string, cause?: unknown): HeadgateError {
    return new HeadgateError(
      'data',
      `the file that remembers the last audit, ${this.#file}, cannot be read: ${why}`,
      {
        hint: `if nobody else can have changed it, remove it; the next audit begins anew: rm ${this.#file}`,
        cause,
      },
    )
  }
}
