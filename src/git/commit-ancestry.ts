/** Ancestry for somebody who asks thousands of times: a few questions go to git, for more the graph is read once. */
import { HeadgateError } from '../core/errors.ts'
import type { ObjectType } from '../core/facts.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { CommitGraph } from './commit-graph.ts'
import { codeOf } from './gather-bars.ts'
import type { GitRepository } from './repository.ts'

/**
 * Reading the graph of a million commits takes seconds, a question that goes to git a millisecond where it is near, and a
 * second where it is far.
 */
const ASKED_OF_GIT = 60
/** Without what was looked at before the graph is small. */
const ASKED_BEFORE_SMALL = 6
/** Commits that no given tip contains: overrides of `on-staging`. More of them are not worth a process each. */
const MAX_STRANGERS = 1000

export class CommitAncestry {
  readonly #repository: GitRepository
  readonly #tips: readonly Oid[]
  /** What these contain is not read until it is asked for often. */
  #leftOut: readonly Oid[]
  #asked = 0
  #strangers = 0
  readonly #codes = new Map<string, Promise<string | null>>()
  #graph: Promise<CommitGraph> | undefined

  /**
   * `tips` are the branches that hold nearly all commits that will be asked for, and `leftOut` hold nearly none of them;
   * all are here.
   */
  constructor(repository: GitRepository, tips: readonly Oid[], leftOut: readonly Oid[] = []) {
    this.#repository = repository
    this.#tips = tips
    this.#leftOut = leftOut
  }

  /** What a commit holds besides the release log; null where it is not here. */
  codeOf(commit: Oid, logPath: string): Promise<string | null> {
    const key = `${commit} ${logPath}`
    const known = this.#codes.get(key) ?? codeOf(this.#repository, commit, logPath)
    this.#codes.set(key, known)
    return known
  }

  /** Says how many questions will come: for many the graph is read now, while there is other work. */
  expect(questions: number): void {
    if (questions >= this.#patience) this.#read()
  }

  /** What an id names here; null if it names nothing. */
  async typeOf(oid: Oid): Promise<ObjectType | null> {
    if (isZeroOid(oid)) return null
    if (this.#graph !== undefined && (await this.#graph).has(oid)) return 'commit'
    return (await this.#repository.objects().info(oid))?.type ?? null
  }

  /**
   * Whether `descendant` contains `ancestor`. Null if that cannot be told, since one of them is not here. What
   * `descendant` contains is all here, so that a missing `ancestor` is a no.
   */
  async contains(ancestor: Oid, descendant: Oid): Promise<boolean | null> {
    if (ancestor === descendant) return (await this.typeOf(ancestor)) === 'commit' ? true : null
    if (this.#graph === undefined && ++this.#asked > this.#patience) this.#read()
    const answer = (await this.#graph)?.isAncestor(ancestor, descendant) ?? null
    if (answer !== null) return answer
    if ((await this.typeOf(descendant)) !== 'commit') return null
    if ((await this.typeOf(ancestor)) !== 'commit') return false
    if (this.#graph !== undefined && ++this.#strangers > ASKED_OF_GIT && this.#leftOut.length > 0) {
      this.#leftOut = []
      this.#strangers = 0
      this.#graph = undefined
      this.#read()
      return this.contains(ancestor, descendant)
    }
    if (this.#strangers > MAX_STRANGERS) {
      throw new HeadgateError(
        'unavailable',
        `more than ${MAX_STRANGERS} moves are of commits that neither branch contains`,
        { hint: 'audit them one by one: headgate verify --commit COMMIT' },
      )
    }
    return this.#repository.isAncestor(ancestor, descendant)
  }

  get #patience(): number {
    return this.#leftOut.length > 0 ? ASKED_BEFORE_SMALL : ASKED_OF_GIT
  }

  #read(): void {
    if (this.#graph !== undefined || this.#tips.length === 0) return
    const without = this.#leftOut.map((oid) => `^${oid}`)
    const output = this.#repository.stream(['rev-list', '--parents', ...this.#tips, ...without, '--'])
    this.#graph = CommitGraph.read(output, this.#repository.oidLength)
    // The caller that asks gets the error; until then it must not count as unhandled.
    this.#graph.catch(() => {})
  }
}
