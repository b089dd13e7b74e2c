/**
 * How a push changes the release log. git lists the commits that touch it; what the log is in each of them is read here,
 * from trees that leave no doubt: one with two entries of a name shows one file to `git diff` and checks out another.
 */
import { HeadgateError } from '../core/errors.ts'
import type { LogStep } from '../core/facts.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { type LogLimits, LogReader } from './log-reader.ts'
import type { GitRepository } from './repository.ts'

/** A release log is a text that people write; 4 MiB is decades of it. */
export const MAX_LOG_BYTES = 4 * 1024 * 1024

/** A pusher decides how much there is to read, and others wait meanwhile: this takes a second or two. */
export const PUSH_LIMITS: LogLimits = { logBytes: MAX_LOG_BYTES, totalBytes: 128 * 1024 * 1024 }
/** An audit reads what servers have taken, also before there were such limits. */
export const AUDIT_LIMITS: LogLimits = { logBytes: 32 * 1024 * 1024, totalBytes: null }

/** A refusal names no more. */
const ENOUGH = 5

/**
 * Every change of the release log along the first parents of `to`, back to what the server has, and the change of the
 * push as a whole: a commit whose first parent is somebody's branch must not bring a log that lacks the server's lines.
 * Before a first push there is nothing to append to: only the tip is looked at. After five steps that nobody may take the
 * rest is left out.
 */
export async function gatherLogSteps(
  repository: GitRepository,
  from: Oid,
  to: Oid,
  path: string,
  limits: LogLimits,
): Promise<LogStep[]> {
  const log = new LogReader(repository, path, limits)
  if (isZeroOid(from)) return [await stepOf(log, null, to)]
  if (from === to) return []
  const steps: LogStep[] = []
  let bad = 0
  for (const { commit, parent } of await candidates(repository, log, from, to, limits)) {
    const step = await stepOf(log, parent, commit)
    if (!isChange(step)) continue
    steps.push(step)
    if (step.unclear !== undefined || !step.append) bad++
    if (bad === ENOUGH || log.isExhausted) return steps
  }
  const whole = await stepOf(log, from, to)
  return isChange(whole) ? [...steps, whole] : steps
}

type Candidate = { readonly commit: Oid; readonly parent: Oid | null }

/**
 * The commits that may have changed the log, the newest first. git finds them faster than we do, but reads the trees of
 * each commit anew: a push of small commits that name the same large trees would keep it busy for as long as one likes.
 */
async function candidates(
  repository: GitRepository,
  log: LogReader,
  from: Oid,
  to: Oid,
  { totalBytes }: LogLimits,
): Promise<Candidate[]> {
  // Plumbing, which no log.* in the repository's configuration changes.
  const { stdout } = await repository.run([
    'rev-list',
    '--first-parent',
    '--format=%H %T %P',
    `${from}..${to}`,
    '--',
    ...(totalBytes === null ? [`:(top,literal)${log.path}`] : []),
  ])
  const found: Candidate[] = []
  for (const line of stdout.toString('latin1').split('\n')) {
    const [commit = '', tree = '', parent = ''] = line.split(' ')
    if (commit === '' || commit === 'commit') continue
    log.knowTree(commit, tree)
    found.push({ commit, parent: parent === '' ? null : parent })
  }
  return found
}

function isChange({ before, after, unclear }: LogStep): boolean {
  return unclear !== undefined || before?.blob !== after?.blob || before?.mode !== after?.mode
}

async function stepOf(log: LogReader, parent: Oid | null, commit: Oid): Promise<LogStep> {
  // A parent that can be read in two ways has no log to append to, else nobody could ever put it right.
  const before = parent === null ? null : await orUnclear(log.versionIn(parent), () => null)
  return orUnclear(
    (async () => {
      const after = await log.versionIn(commit)
      const append = await log.isAppended(before, after)
      const lineEnds = append ? null : await log.changedLineEnds(before, after)
      return { commit, before, after, append, ...(lineEnds === null ? {} : { lineEnds }) }
    })(),
    (unclear): LogStep => ({ commit, before, after: null, append: false, unclear }),
  )
}

async function orUnclear<T>(reading: Promise<T>, otherwise: (reason: string) => T): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'data') throw error
    return otherwise(error.message)
  }
}
