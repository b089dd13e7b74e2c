/**
 * Whether each repository is well: it can be read, nothing that a crash left open is unsettled, and its release branch is
 * where the ledger has it. That takes a git process each, so it is done in the background, one after another.
 */

import { join } from 'node:path'
import type { Logger } from 'pino'
import { shortRef } from '../../src/core/explain.ts'
import { shortOid, zeroOidLike } from '../../src/core/oid.ts'
import { LEDGER_REF, releaseRef } from '../../src/core/refs.ts'
import type { ServerView } from '../../src/guard/guarded-view.ts'
import { readGuardedNames } from '../guarded-list.ts'
import { settingsPath } from '../settings.ts'
import { fileStamp, type OpenRepositories } from './open-repositories.ts'
import { settleOpenMoves } from './settle-open-moves.ts'

export type Checked = {
  /** The number of the ledger's last record; null where nobody knows. */
  readonly records: number | null
  /** What an operator should know, null if nothing. */
  readonly problem: string | null
}

type Known = Checked & { readonly stamp: string | null }

/** What takes longer, which a machine that is very busy may need, stops nobody else. */
const SLOW_MS = 15_000
/** So many slow ones; the next waits until one of them has an end, which is a minute at most. */
const MAX_SLOW = 3
/** While hooks ask, a check takes the processor from them only this often. */
const PAUSE_MS = 250

export class RepositoryChecks {
  readonly #open: OpenRepositories
  readonly #log: Logger
  readonly #clock: () => number
  readonly #isAsked: () => boolean
  readonly #known = new Map<string, Known>()
  /** In the order in which they were asked for. */
  readonly #wanted = new Map<string, PromiseWithResolvers<void>>()
  readonly #running = new Map<string, Promise<void>>()
  #slow = 0
  #isBusy = false
  #stopped = false

  /** `isAsked` tells whether hooks ask at the moment. */
  constructor(open: OpenRepositories, log: Logger, clock: () => number, isAsked: () => boolean) {
    this.#open = open
    this.#log = log
    this.#clock = clock
    this.#isAsked = isAsked
  }

  /** Resolves when it was checked, whatever came of it. */
  check(path: string): Promise<void> {
    const running = this.#running.get(path)
    if (running !== undefined) return running
    const wanted = this.#wanted.get(path) ?? Promise.withResolvers<void>()
    this.#wanted.set(path, wanted)
    this.#next()
    return wanted.promise
  }

  /** Checks what has changed since it was checked last, and waits for that no longer than `patienceMs`. */
  async update(paths: Iterable<string>, patienceMs: number): Promise<void> {
    const changed = [...paths].filter((path) => this.#known.get(path)?.stamp !== stampOf(path))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs)
    })
    await Promise.race([Promise.all(changed.map((path) => this.check(path))), late])
    clearTimeout(timer)
  }

  /** What the last check found; undefined before the first. */
  last(path: string): Checked | undefined {
    return this.#known.get(path)
  }

  forget(path: string): void {
    this.#known.delete(path)
    this.#wanted.get(path)?.resolve()
    this.#wanted.delete(path)
  }

  stop(): void {
    this.#stopped = true
  }

  #next(): void {
    const [path, wanted] = this.#wanted.entries().next().value ?? []
    if (this.#isBusy || this.#stopped || this.#slow > MAX_SLOW) return
    if (path === undefined || wanted === undefined) return
    this.#wanted.delete(path)
    this.#isBusy = true
    let isSlow = false
    const timer = setTimeout(() => {
      isSlow = true
      this.#slow += 1
      this.#isBusy = false
      this.#tell(path, { stamp: null, records: null, problem: `it was not read within ${SLOW_MS / 1000} s` })
      wanted.resolve()
      this.#next()
    }, SLOW_MS)
    const running = this.#checkNow(path).finally(() => {
      clearTimeout(timer)
      this.#running.delete(path)
      wanted.resolve()
      if (isSlow) this.#slow -= 1
      setTimeout(
        () => {
          if (!isSlow) this.#isBusy = false
          this.#next()
        },
        this.#isAsked() ? PAUSE_MS : 0,
      )
    })
    this.#running.set(path, running)
  }

  async #checkNow(path: string): Promise<void> {
    const stamp = stampOf(path)
    try {
      const view = await this.#open.use(path, (guarded) => settleOpenMoves(guarded, this.#clock))
      this.#tell(path, { stamp, records: view.snapshot.head.seq, problem: driftOf(view) })
    } catch (error) {
      // Its hooks ask all the same: the reason may be gone by then, and they hear it if it isn't.
      this.#tell(path, { stamp: null, records: null, problem: (error as Error).message })
    }
  }

  /** A problem that stays is logged once. */
  #tell(path: string, known: Known): void {
    const before = this.#known.get(path)
    this.#known.set(path, known)
    const { records, problem } = known
    if (before !== undefined && before.problem === problem) return
    const about = { repository: path, ...(records === null ? {} : { records }) }
    if (problem === null) this.#log.info(about, 'ready')
    else this.#log.error({ ...about, reason: problem }, records === null ? 'not ready' : 'drift')
  }
}

/** Changes whenever the ledger or a guarded branch does. */
function stampOf(path: string): string {
  const refs = ['packed-refs', 'reftable/tables.list', LEDGER_REF, ...readGuardedNames(path)]
  return [settingsPath(path), ...refs.map((ref) => join(path, ref))].map(fileStamp).join()
}

function driftOf({ inForce, snapshot, refs }: ServerView): string | null {
  if (inForce === null) return null
  const ref = releaseRef(inForce.policy)
  const actual = refs.get(ref)
  const landed = snapshot.state.landed[ref]
  // A move that is open may just be landing.
  if (snapshot.state.open.some((move) => move.ref === ref)) return null
  const expected = landed?.to ?? zeroOidLike(actual ?? '')
  if (expected === (actual ?? zeroOidLike(expected))) return null
  return `${shortRef(ref)} is at ${actual === undefined ? 'no commit' : shortOid(actual)}, but the ledger has it at ${shortOid(expected)}: an operator settles it with headgate drift`
}
