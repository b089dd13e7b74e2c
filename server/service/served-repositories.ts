/**
 * The repositories that a service answers for. Which they are is looked up again and again: one that gets headgate is
 * taken, one that is gone or rid of it is given up, and the hooks of each are told. To open one waits until somebody asks.
 */
import type { Logger } from 'pino'
import { HeadgateError } from '../../src/core/errors.ts'
import { type Asker, answerHook } from '../hooks/answer.ts'
import type { HookAnswer, HookRequest } from '../hooks/request.ts'
import { announce, announcedSocket, answers, isAnnounced, withdraw } from './announcement.ts'
import { OpenRepositories } from './open-repositories.ts'
import { RepositoryChecks } from './repository-checks.ts'
import { findServed, type NamedPlaces } from './served-paths.ts'
import { Slots } from './slots.ts'

/**
 * At most 64 processes: this one, one for each open repository, three for each decision (objects of its push, the lock, what
 * writes), two for each that comes after a move, four for checks.
 */
const MAX_OPEN = 20
const JUDGING = { total: 10, each: 4, patienceMs: 20_000, standstillMs: 3_000 }
/** What follows a yes has slots of its own, because decisions wait for it. */
const FINISHING = { total: 4, each: 2, patienceMs: 20_000, standstillMs: 3_000 }
/** A repository that nobody asked for so long is closed. */
const IDLE_MS = 5 * 60_000
/** Hooks that asked so lately may ask again, or have no answer yet. */
const ASKED_MS = 500
/** So many files are written before others get their turn: some milliseconds. */
const AT_ONCE = 50

export class ServedRepositories {
  readonly #named: NamedPlaces
  readonly #log: Logger
  readonly #clock: () => number
  readonly #open = new OpenRepositories(MAX_OPEN)
  readonly #judging = new Slots(JUDGING)
  readonly #finishing = new Slots(FINISHING)
  readonly #checks: RepositoryChecks
  #paths: ReadonlySet<string> = new Set()
  #problems: ReadonlyMap<string, string> = new Map()
  #socket: string | undefined
  /** Why the hooks of a repository could not be told, so that it is logged once. */
  readonly #untold = new Map<string, string>()
  #askedAtMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(named: NamedPlaces, log: Logger, clock: () => number) {
    this.#named = named
    this.#log = log
    this.#clock = clock
    const isAsked = () => performance.now() - this.#askedAtMs < ASKED_MS
    this.#checks = new RepositoryChecks(this.#open, log, clock, isAsked)
  }

  /** Real paths. */
  get paths(): ReadonlySet<string> {
    return this.#paths
  }

  /** By the path that was named: why nothing is served there. */
  get problems(): ReadonlyMap<string, string> {
    return this.#problems
  }

  /** The decision that a hook's own process would make. Errors are those of `answerHook`, or say that there is no time. */
  async answer(request: HookRequest, asker: Asker): Promise<HookAnswer> {
    const path = request.repository
    this.#askedAtMs = performance.now()
    if (!this.#paths.has(path)) throw new HeadgateError('configuration', `${path} is not served here`)
    const slots = request.phase === 'pre-receive' ? this.#judging : this.#finishing
    return slots.use(path, () =>
      this.#open.use(path, (guarded, isCurrent) =>
        answerHook(guarded, request, this.#clock, {
          // Nothing is permitted in the name of a repository, or by a key, that was replaced meanwhile.
          isAwaited: async () => !this.#stopped && isCurrent() && (await asker.isAwaited()),
          tell: asker.tell,
        }),
      ),
    )
  }

  /**
   * Looks which repositories there are, and tells the hooks of those that are given up. Throws HeadgateError
   * 'configuration' where the list cannot be read; then everything stays as it is.
   */
  async find(): Promise<void> {
    const { repositories, problems } = await findServed(this.#named, this.#paths)
    for (const [place, reason] of problems)
      if (this.#problems.get(place) !== reason) this.#log.error({ repository: place, reason }, 'not served')
    this.#problems = problems
    const before = this.#paths
    this.#paths = repositories
    for (const path of before) {
      if (repositories.has(path)) continue
      this.#log.info({ repository: path }, 'given up')
      this.#open.retire(path)
      this.#checks.forget(path)
      this.#untold.delete(path)
      this.#withdraw(path)
    }
  }

  /**
   * Tells the hooks of every repository that the service is at `socket`, and has those checked that were not told before.
   * A service that answers elsewhere is replaced only if `takeOver`.
   */
  async announce(socket: string, { takeOver }: { readonly takeOver: boolean }): Promise<void> {
    this.#socket = socket
    let count = 0
    for (const path of this.#paths) {
      if (this.#stopped) return
      if (++count % AT_ONCE === 0) await new Promise((done) => setImmediate(done))
      if (this.#checks.last(path) === undefined) void this.#checks.check(path)
      if (isAnnounced(path, socket)) continue
      const other = announcedSocket(path)
      if (!takeOver && other !== null && other !== socket && (await answers(other))) continue
      try {
        announce(path, socket)
        this.#untold.delete(path)
      } catch (error) {
        const reason = (error as Error).message
        if (this.#untold.get(path) === reason) continue
        this.#untold.set(path, reason)
        this.#log.error({ repository: path, reason }, 'the hooks cannot be told of the service')
      }
    }
  }

  /** Forgets what was read, and has everything checked anew. */
  openAnew(): void {
    this.#open.retireAll()
    for (const path of this.#paths) this.#checks.forget(path)
  }

  closeIdle(): void {
    this.#open.closeIdle(IDLE_MS)
  }

  /** How each of them is. What has changed since it was checked last is checked first, as far as `patienceMs` reaches. */
  async health(patienceMs: number): Promise<Health> {
    await this.#checks.update(this.#paths, patienceMs)
    const served = [...this.#paths].map((path) => ({
      path,
      ...(this.#checks.last(path) ?? { records: null, problem: NOT_CHECKED }),
    }))
    const unserved = [...this.#problems].map(([path, problem]) => ({ path, records: null, problem }))
    const repositories = [...served, ...unserved]
    return { status: statusOf(repositories), repositories }
  }

  /** Permits nothing any more, and tells the hooks. */
  stop(): void {
    this.#stopped = true
    const reason = new HeadgateError('unavailable', 'the service stops')
    this.#checks.stop()
    this.#judging.close(reason)
    this.#finishing.close(reason)
    for (const path of this.#paths) this.#withdraw(path)
  }

  /** Ends the processes that reading needs. */
  close(): void {
    this.#open.retireAll()
  }

  /** A hook that is not told finds no socket, or hears that its repository is not served, and decides by itself. */
  #withdraw(path: string): void {
    try {
      if (this.#socket !== undefined) withdraw(path, this.#socket)
    } catch (error) {
      this.#log.warn({ repository: path, reason: (error as Error).message }, 'the hooks cannot be told')
    }
  }
}

export type Health = {
  /** `checking` while nothing is known to be wrong and not everything was looked at. */
  readonly status: 'ok' | 'checking' | 'degraded'
  readonly repositories: readonly {
    readonly path: string
    readonly records: number | null
    readonly problem: string | null
  }[]
}

const NOT_CHECKED = 'not checked yet'

function statusOf(repositories: Health['repositories']): Health['status'] {
  const problems = repositories.map(({ problem }) => problem).filter((problem) => problem !== null)
  if (problems.length === 0) return 'ok'
  return problems.every((problem) => problem === NOT_CHECKED) ? 'checking' : 'degraded'
}
