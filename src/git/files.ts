/**
 * A file by its descriptor. Syncing, which always waits for a disk, is a promise, and the rest is not: a thread for each
 * small step costs a hook more than the steps, and `node:fs/promises` takes two milliseconds to load, a twentieth of all
 * that a hook does. Errors are those of `node:fs`.
 */
import { closeSync, fchmodSync, fsync, open, openSync, writeFileSync } from 'node:fs'

export class OpenFile {
  readonly #descriptor: number

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  write(data: string | Buffer): void {
    writeFileSync(this.#descriptor, data)
  }

  chmod(mode: number): void {
    fchmodSync(this.#descriptor, mode)
  }

  /** Resolves when all that was written is on disk. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fsync(this.#descriptor, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  /** Once: the number may be another file's afterwards. Never throws: what counts was synced. */
  close(): void {
    try {
      closeSync(this.#descriptor)
    } catch {
      // It is closed all the same.
    }
  }
}

export function openNow(path: string, flags: string | number, mode?: number): OpenFile {
  return new OpenFile(openSync(path, flags, mode))
}

/** For files that are made: where there is a journal, that may wait for it. */
export function openSoon(path: string, flags: string | number, mode?: number): Promise<OpenFile> {
  return new Promise((resolve, reject) => {
    open(path, flags, mode, (error, descriptor) => {
      if (error === null) resolve(new OpenFile(descriptor))
      else reject(error)
    })
  })
}
