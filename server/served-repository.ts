/** A repository that the service keeps open: what it has read once it need not read again for every push. */
import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import { shortRef } from '../src/core/explain.ts'
import { shortOid, zeroOidLike } from '../src/core/oid.ts'
import { parsePolicy } from '../src/core/policy-yaml.ts'
import { replaceFile } from '../src/git/own-files.ts'
import { type Asker, answerHook } from './answer-hook.ts'
import { followMove } from './follow-move.ts'
import { releaseRef } from './guarded-branches.ts'
import { type GuardedRepository, openGuarded, type ServerView, viewServer } from './guarded-repository.ts'
import type { HookAnswer, HookRequest } from './hook-request.ts'
import type { AuthorizedMove } from './move-file.ts'
import { sealKeyPath } from './seal-key.ts'
import { SERVER_DIRECTORY, settingsPath } from './settings.ts'
import { settleOpenMoves } from './settle-open-moves.ts'

/** How long a move is looked after. Later than this only a push can tell, or the next start. */
const FOLLOW_MS = 30_000

export class ServedRepository {
  /** The repository itself, by its real path. */
  readonly path: string
  readonly #clock: () => number
  readonly #following = new Set<Promise<void>>()
  #open: { readonly guarded: GuardedRepository; readonly stamp: string } | undefined

  constructor(path: string, clock: () => number) {
    this.path = path
    this.#clock = clock
  }

  /** The decision that a hook's own process would make. Errors are those of `answerHook`. */
  async answer(request: HookRequest, asker: Asker): Promise<HookAnswer> {
    const guarded = await this.#opened()
    const { move, ...answer } = await answerHook(guarded, request, this.#clock, asker)
    if (move !== undefined) this.#follow(guarded, move)
    return answer
  }

  /**
   * Settles what a crash or another process left open, and looks whether the release branch is where the ledger has it.
   * Returns the number of the ledger's last record and what an operator should know, null if nothing.
   */
  async check(): Promise<{ readonly seq: number; readonly drift: string | null }> {
    const guarded = await this.#opened()
    await settleOpenMoves(guarded, this.#clock)
    const view = await viewServer(guarded)
    return { seq: view.snapshot.head.seq, drift: driftOf(view) }
  }

  /** Tells the hooks where the service is. Without a socket they decide by themselves. */
  announce(socket: string | null): void {
    const path = join(this.path, SERVER_DIRECTORY, 'service')
    if (socket !== null) {
      replaceFile(path, `${socket}\n${this.path}\n`)
    } else {
      rmSync(path, { force: true })
    }
  }

  /** Whether the hooks are told of this very socket: another service may have taken over. */
  isAnnounced(socket: string): boolean {
    try {
      return readFileSync(join(this.path, SERVER_DIRECTORY, 'service'), 'utf8').startsWith(`${socket}\n`)
    } catch {
      return false
    }
  }

  /** Resolves when every move that is on its way has been recorded or given up. */
  async idle(): Promise<void> {
    await Promise.all(this.#following)
  }

  /** Ends the processes that reading needs. It opens again with the next question. */
  close(): void {
    this.#open?.guarded.close()
    this.#open = undefined
  }

  #follow(guarded: GuardedRepository, move: AuthorizedMove): void {
    // A move that is not recorded now is found by the next push, from the ref itself.
    const followed: Promise<void> = followMove(guarded, move, { clock: this.#clock, patienceMs: FOLLOW_MS })
      .catch(() => undefined)
      .finally(() => this.#following.delete(followed))
    this.#following.add(followed)
  }

  /** `server install` may have changed the settings or the key since. */
  async #opened(): Promise<GuardedRepository> {
    const stamp = [settingsPath(this.path), sealKeyPath(this.path)]
      .map((path) => statSync(path, { throwIfNoEntry: false }))
      .map((status) => `${status?.ino} ${status?.mtimeMs} ${status?.size}`)
      .join()
    if (this.#open?.stamp !== stamp) {
      this.close()
      this.#open = { guarded: await openGuarded(this.path, parsePolicy), stamp }
    }
    return this.#open.guarded
  }
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

/** Throws HeadgateError 'configuration' where headgate is not installed. */
export async function requireServable(repository: ServedRepository): Promise<void> {
  if (statSync(settingsPath(repository.path), { throwIfNoEntry: false }) !== undefined) return
  throw new HeadgateError('configuration', `headgate is not installed in ${repository.path}`, {
    hint: `headgate server install ${repository.path} --identity SOURCE`,
  })
}
