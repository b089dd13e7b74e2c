/**
 * How a push changes the release log. git lists the commits that touch it; what the log is in each of them is read here,
 * from trees that leave no doubt: one with two entries of a name shows one file to `git diff` and checks out another.
 */
import { HeadgateError } from '../core/errors.ts'
import type { LogStep, LogVersion } from '../core/facts.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { isAppend } from '../core/release-log.ts'
import { fileAt } from './file-at.ts'
import { missingObject } from './missing-object.ts'
import type { GitRepository } from './repository.ts'

/** A release log is a text that people write; 32 MiB is decades of it. */
const MAX_LOG_BYTES = 32 * 1024 * 1024

/**
 * Every change of the release log along the first parents of `to`, back to what the server has, and the change of the
 * push as a whole: a commit whose first parent is somebody's branch must not bring a log that lacks the server's lines.
 * Before a first push there is nothing to append to: only the tip is looked at.
 */
export async function gatherLogSteps(
  repository: GitRepository,
  from: Oid,
  to: Oid,
  path: string,
): Promise<LogStep[]> {
  if (isZeroOid(from)) return [await stepOf(repository, null, to, path)]
  if (from === to) return []
  // Plumbing, which no log.* in the repository's configuration changes.
  const { stdout } = await repository.run([
    'rev-list',
    '--first-parent',
    '--format=%H %P',
    `${from}..${to}`,
    '--',
    `:(top,literal)${path}`,
  ])
  const steps: LogStep[] = []
  for (const line of stdout.toString('latin1').split('\n')) {
    const [commit = '', parent] = line.split(' ')
    if (commit === '' || commit === 'commit') continue
    steps.push(await stepOf(repository, parent === '' ? null : (parent ?? null), commit, path))
  }
  const whole = await stepOf(repository, from, to, path)
  return isChange(whole) ? [...steps, whole] : steps
}

function isChange({ before, after, unclear }: LogStep): boolean {
  return unclear !== undefined || before?.blob !== after?.blob || before?.mode !== after?.mode
}

async function stepOf(
  repository: GitRepository,
  parent: Oid | null,
  commit: Oid,
  path: string,
): Promise<LogStep> {
  // A parent that can be read in two ways has no log to append to, else nobody could ever put it right.
  const before = parent === null ? null : await orUnclear(fileAt(repository, parent, path), () => null)
  return orUnclear(
    (async () => {
      const after = await fileAt(repository, commit, path)
      return { commit, before, after, append: await isAppended(repository, before, after) }
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

/** Throws HeadgateError 'data' where a text is too long to be compared. */
async function isAppended(
  repository: GitRepository,
  before: LogVersion,
  after: LogVersion,
): Promise<boolean> {
  if (before === null || after === null || before.blob === after.blob) return true
  // What is no file is judged by its mode.
  if (!before.mode.startsWith('100') || !after.mode.startsWith('100')) return false
  const texts: Buffer[] = []
  for (const { blob } of [before, after]) {
    const info = await repository.objects().info(blob)
    if (info !== null && info.size > MAX_LOG_BYTES)
      throw new HeadgateError(
        'data',
        `${info.size} bytes are more than the ${MAX_LOG_BYTES} that are compared`,
      )
    const object = await repository.objects().read(blob, MAX_LOG_BYTES)
    if (object === null) throw missingObject(repository.commonDirectory, `object ${blob} of the release log`)
    texts.push(object.body)
  }
  const [former = EMPTY, latter = EMPTY] = texts
  return isAppend(former, latter)
}

const EMPTY = Buffer.alloc(0)
