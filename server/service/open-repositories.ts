/**
 * The guarded repositories that a service has open. What was read once need not be read again for the next push; but each
 * keeps a git process and some memory, so that only those stay open that were asked last.
 */
import { type BigIntStats, statSync } from 'node:fs'
import { join } from 'node:path'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { type GuardedRepository, openGuarded } from '../guarded-repository.ts'
import { sealKeyPath } from '../seal-key.ts'
import { settingsPath } from '../settings.ts'

type Opened = {
  readonly stamp: string
  readonly guarded: Promise<GuardedRepository>
  users: number
  usedAtMs: number
  /** No longer for those who come: it is closed when its last user has left. */
  retired: boolean
}

export class OpenRepositories {
  readonly #limit: number
  readonly #clock: () => number
  /** By path, the one that was used longest ago first. */
  readonly #open = new Map<string, Opened>()

  /** More than `limit` are open only while more are in use. `clock` is in milliseconds and never goes back. */
  constructor(limit: number, clock: () => number = () => performance.now()) {
    this.#limit = limit
    this.#clock = clock
  }

  get size(): number {
    return this.#open.size
  }

  /**
   * Does `work` with the repository at `path`, opened if it is not or if it is not the same any more. `isCurrent` tells
   * whether it still is. Errors are those of opening it, and those of `work`.
   */
  async use<T>(
    path: string,
    work: (guarded: GuardedRepository, isCurrent: () => boolean) => Promise<T>,
  ): Promise<T> {
    const opened = this.#take(path)
    try {
      return await work(await opened.guarded, () => !opened.retired && stampOf(path) === opened.stamp)
    } finally {
      opened.users -= 1
      opened.usedAtMs = this.#clock()
      if (opened.retired) closeUnused(opened)
      this.#closeSurplus()
    }
  }

  /** Who comes next opens it anew. */
  retire(path: string): void {
    const opened = this.#open.get(path)
    if (opened === undefined) return
    this.#open.delete(path)
    opened.retired = true
    closeUnused(opened)
  }

  retireAll(): void {
    for (const path of [...this.#open.keys()]) this.retire(path)
  }

  /** Closes what nobody has used for so long. */
  closeIdle(idleMs: number): void {
    const now = this.#clock()
    for (const [path, { users, usedAtMs }] of [...this.#open])
      if (users === 0 && now - usedAtMs >= idleMs) this.retire(path)
  }

  #take(path: string): Opened {
    const stamp = stampOf(path)
    let opened = this.#open.get(path)
    if (opened?.stamp !== stamp) {
      this.retire(path)
      const guarded = openGuarded(path, async (text) => parsePolicy(text))
      const fresh = { stamp, guarded, users: 0, usedAtMs: 0, retired: false }
      // Whoever asked is told why it cannot be opened, and the next one tries again.
      guarded.catch(() => {
        if (this.#open.get(path) === fresh) this.retire(path)
      })
      opened = fresh
    }
    opened.users += 1
    opened.usedAtMs = this.#clock()
    this.#open.delete(path)
    this.#open.set(path, opened)
    this.#closeSurplus()
    return opened
  }

  #closeSurplus(): void {
    for (const [path, { users }] of [...this.#open]) {
      if (this.#open.size <= this.#limit) return
      if (users === 0) this.retire(path)
    }
  }
}

function closeUnused({ users, guarded }: Opened): void {
  if (users === 0)
    guarded.then(
      (opened) => opened.close(),
      () => undefined,
    )
}

/**
 * Changes with everything that is read when a repository is opened, and never afterwards: its settings and its key, and
 * which repository it is at all. Times are those of the inode, which nobody can set back.
 */
function stampOf(path: string): string {
  const files = [
    settingsPath(path),
    sealKeyPath(path),
    join(path, 'config'),
    join(path, 'objects', 'info', 'alternates'),
  ]
  const folders = [path, join(path, 'objects')]
  return [...folders.map(folderStamp), ...files.map(fileStamp)].join()
}

/** One word about a file, another one whenever it has changed. */
export function fileStamp(path: string): string {
  return stamp(path, ({ dev, ino, ctimeNs, size }) => `${dev}:${ino}:${ctimeNs}:${size}`)
}

/** Which folder it is; what is in it may change. */
function folderStamp(path: string): string {
  return stamp(path, ({ dev, ino }) => `${dev}:${ino}`)
}

function stamp(path: string, word: (status: BigIntStats) => string): string {
  try {
    const status = statSync(path, { bigint: true, throwIfNoEntry: false })
    return status === undefined ? 'none' : word(status)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}
