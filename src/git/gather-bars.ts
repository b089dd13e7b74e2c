/** What a move would bring back of commits that production was rolled back from. */
import { sha256 } from '../core/canonical-json.ts'
import { HeadgateError } from '../core/errors.ts'
import type { BroughtBack } from '../core/facts.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import type { GitRepository } from './repository.ts'
import { TREE_MODE } from './tree.ts'

/** The latest rollbacks that are looked at: each costs the reading of a small tree or two. */
const MAX_BARS = 100

/** How two commits are compared, and what a move ships; null where an object is not there to ask. */
export type BarQuestions = {
  readonly codeOf: (commit: Oid) => Promise<string | null>
  readonly ships: (commit: Oid) => Promise<boolean | null>
  /** Whether what the move goes to contains it. */
  readonly contains: (commit: Oid) => Promise<boolean | null>
}

export type BarAnswers = { readonly found: readonly BroughtBack[]; readonly unknown: readonly Oid[] }

/** `bars` in the order of their rollbacks. What the branch runs already, nothing is said of. */
export async function compareWithBars(
  bars: readonly Oid[],
  { from, to }: { readonly from: Oid; readonly to: Oid },
  { codeOf, ships, contains }: BarQuestions,
): Promise<BarAnswers> {
  const found: BroughtBack[] = []
  const unknown: Oid[] = []
  const others = bars.filter((bar) => bar !== to).slice(-MAX_BARS)
  if (others.length === 0) return { found, unknown }
  const code = await codeOf(to)
  const before = isZeroOid(from) ? '' : await codeOf(from)
  for (const commit of others) {
    const its = await codeOf(commit)
    const isShipped = await ships(commit)
    if (code === null || its === null || isShipped === null || (its === code && before === null))
      unknown.push(commit)
    // What has the same code and does not come from it, such as the commit that a direct one copied, is its own.
    if (code !== null && its === code && its !== before && (isShipped === true || (await contains(commit))))
      found.push({ commit, how: 'same-code' })
    else if (isShipped === true) found.push({ commit, how: 'contained' })
  }
  return { found, unknown }
}

/** Every commit that the move ships is listed once, whatever number of bars there is. */
export async function gatherBroughtBack(
  repository: GitRepository,
  bars: readonly Oid[],
  move: { readonly from: Oid; readonly to: Oid },
  logPath: string,
): Promise<readonly BroughtBack[]> {
  if (bars.every((bar) => bar === move.to)) return []
  const wanted = new Set(bars)
  const shipped = new Set<Oid>()
  const range = isZeroOid(move.from) ? [] : ['--not', move.from]
  let rest = ''
  for await (const part of repository.stream(['rev-list', move.to, ...range, '--'])) {
    const lines = (rest + part.toString('latin1')).split('\n')
    rest = lines.pop() ?? ''
    for (const oid of lines) if (wanted.has(oid)) shipped.add(oid)
  }
  const { found } = await compareWithBars(bars, move, {
    codeOf: (commit) => codeOf(repository, commit, logPath),
    ships: async (commit) => shipped.has(commit),
    contains: (commit) => repository.isAncestor(commit, move.to),
  })
  return found
}

/** What a commit holds besides the release log, as one text for all that hold the same; null where that is not here. */
export async function codeOf(
  repository: GitRepository,
  commit: Oid,
  logPath: string,
): Promise<string | null> {
  const objects = repository.objects()
  const without = async (tree: Oid, [name, ...deeper]: readonly string[]): Promise<string | null> => {
    const entries = await objects.tree(tree)
    if (entries === null) return null
    const lines: string[] = []
    for (const entry of entries) {
      if (entry.name !== name) lines.push(`${entry.mode} ${entry.oid} ${entry.name}`)
      else if (deeper.length > 0 && entry.mode === TREE_MODE) {
        const inner = await without(entry.oid, deeper)
        if (inner === null) return null
        // A folder that has nothing but the log in it is there for the log alone.
        if (inner !== '') lines.push(`${entry.mode} ${sha256(inner)} ${entry.name}`)
      } else if (deeper.length > 0 || !entry.mode.startsWith('100'))
        lines.push(`${entry.mode} ${entry.oid} ${entry.name}`)
    }
    return lines.join('\0')
  }
  try {
    const text = await without(commit, logPath.split('/'))
    return text === null ? null : sha256(text)
  } catch (error) {
    // A tree that can be read in two ways is no other commit's, and what is no commit has no code.
    if (error instanceof HeadgateError && (error.code === 'data' || error.code === 'unavailable')) return null
    throw error
  }
}
