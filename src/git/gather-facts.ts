/**
 * Gathers what `decide` needs to know from git. Every read goes through a repository whose environment ignores replace
 * refs, grafts and shallow files, by full ids and full ref names only.
 */

import { HeadgateError } from '../core/errors.ts'
import type {
  Certificate,
  LogStep,
  LogVersion,
  ObjectType,
  Pusher,
  ReleaseMove,
  StagingMove,
  Stray,
} from '../core/facts.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { isAppend } from '../core/release-log.ts'
import type { RefUpdate } from './hook-input.ts'
import type { GitRepository } from './repository.ts'

/** How many commits that staging lacks are read: a push of a foreign history must not be listed whole. */
const MAX_STRAYS = 50
/** A release log is a text that people write; 32 MiB is decades of it. */
const MAX_LOG_BYTES = 32 * 1024 * 1024

export type ReleaseMoveInput = {
  readonly update: RefUpdate
  /** Where the ref and the staging branch are on disk; null where they do not exist. */
  readonly current: Oid | null
  readonly staging: Oid | null
  readonly pusher: Pusher
  readonly certificate: Certificate
  readonly pushOptions: readonly string[]
}

export async function gatherReleaseMove(
  repository: GitRepository,
  input: ReleaseMoveInput,
): Promise<ReleaseMove> {
  const { update, staging } = input
  const from = input.current ?? '0'.repeat(update.to.length)
  const { to } = update
  const objectType = await typeOf(repository, to)
  const isCommit = objectType === 'commit'
  const [onStaging, fastForward] = await Promise.all([
    isCommit && staging !== null ? contains(repository, to, staging) : false,
    isCommit && !isZeroOid(from) ? contains(repository, from, to) : isCommit,
  ])
  return {
    ref: update.ref,
    from,
    claimedFrom: update.from,
    to,
    objectType,
    staging,
    onStaging,
    strays: isCommit && !onStaging ? await straysOf(repository, to, staging) : [],
    fastForward,
    pusher: input.pusher,
    certificate: input.certificate,
    pushOptions: input.pushOptions,
  }
}

export async function gatherStagingMove(
  repository: GitRepository,
  update: RefUpdate,
  current: Oid | null,
  logPath: string,
): Promise<StagingMove> {
  const from = current ?? '0'.repeat(update.to.length)
  const { ref, to } = update
  const objectType = await typeOf(repository, to)
  const isCommit = objectType === 'commit'
  const fastForward = isCommit && !isZeroOid(from) ? await contains(repository, from, to) : isCommit
  const steps = isCommit && fastForward ? await logSteps(repository, from, to, logPath) : []
  return { ref, from, to, objectType, fastForward, releaseLog: { path: logPath, steps } }
}

async function contains(repository: GitRepository, ancestor: Oid, descendant: Oid): Promise<boolean> {
  return ancestor === descendant || repository.isAncestor(ancestor, descendant)
}

async function typeOf(repository: GitRepository, oid: Oid): Promise<ObjectType> {
  if (isZeroOid(oid)) return 'missing'
  const info = await repository.objects().info(oid)
  return info === null ? 'missing' : info.type
}

async function straysOf(repository: GitRepository, to: Oid, staging: Oid | null): Promise<Stray[]> {
  const { stdout } = await repository.run([
    'log',
    '-z',
    '--topo-order',
    `--max-count=${MAX_STRAYS}`,
    '--format=%H%n%P%n%<(200,trunc)%s',
    to,
    ...(staging === null ? [] : ['--not', staging]),
    '--',
  ])
  return stdout
    .toString('utf8')
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [oid = '', parents = '', subject = ''] = entry.split('\n')
      return { oid, parents: parents === '' ? [] : parents.split(' '), subject: subject.trimEnd() }
    })
}

/**
 * Every change of the release log along the first parents of `to`, back to what the server has, and the change of the
 * push as a whole: a commit whose first parent is somebody's branch must not bring a log that lacks the server's lines.
 * Before a first push there is nothing to append to: only the tip is looked at.
 */
async function logSteps(repository: GitRepository, from: Oid, to: Oid, path: string): Promise<LogStep[]> {
  if (isZeroOid(from))
    return stepsWithContent(repository, [
      { commit: to, before: null, after: await versionAt(repository, to, path) },
    ])
  if (from === to) return []
  const { stdout } = await repository.run([
    'log',
    '-z',
    '--first-parent',
    '--diff-merges=first-parent',
    '--raw',
    '--no-abbrev',
    '--no-renames',
    // log.follow in the repository's configuration would turn a renamed log into one that never changed.
    '--no-follow',
    '--root',
    '--format=%x01%H',
    `${from}..${to}`,
    '--',
    `:(top,literal)${path}`,
  ])
  const steps = parseRawLog(stdout.toString('utf8'), path)
  const [before, after] = await Promise.all([
    versionAt(repository, from, path),
    versionAt(repository, to, path),
  ])
  if (before?.blob !== after?.blob || before?.mode !== after?.mode) steps.push({ commit: to, before, after })
  return stepsWithContent(repository, steps)
}

type BareStep = Omit<LogStep, 'append'>

/** `git log -z --raw`: `\x01<commit>` NUL, then for each change `:<mode> <mode> <oid> <oid> <status>` NUL path NUL. */
function parseRawLog(text: string, path: string): BareStep[] {
  const steps: BareStep[] = []
  for (const entry of text.split('\x01').slice(1)) {
    const [commit = '', ...fields] = entry.split('\0').map((field) => field.replace(/^\n/, ''))
    for (const [index, field] of fields.entries()) {
      const change = /^:(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) [A-Z]/.exec(field)
      if (change === null || fields[index + 1] !== path) continue
      const [, oldMode = '', newMode = '', oldBlob = '', newBlob = ''] = change
      steps.push({ commit, before: version(oldMode, oldBlob), after: version(newMode, newBlob) })
    }
  }
  return steps
}

function version(mode: string, blob: Oid): LogVersion {
  return mode === '000000' ? null : { mode, blob }
}

async function versionAt(repository: GitRepository, commit: Oid, path: string): Promise<LogVersion> {
  const { stdout } = await repository.run(['ls-tree', '-z', '--full-tree', commit, '--', path])
  const entry = /^(\d{6}) \w+ ([0-9a-f]+)\t/.exec(stdout.toString('utf8'))
  return entry === null ? null : { mode: entry[1] ?? '', blob: entry[2] ?? '' }
}

async function stepsWithContent(repository: GitRepository, steps: readonly BareStep[]): Promise<LogStep[]> {
  const contents = new Map<Oid, Buffer>()
  const content = async (version: LogVersion): Promise<Buffer> => {
    if (version === null || version.mode === '160000') return Buffer.alloc(0)
    const known = contents.get(version.blob)
    if (known !== undefined) return known
    const object = await repository.objects().read(version.blob, MAX_LOG_BYTES)
    if (object === null)
      throw new HeadgateError('unavailable', `object ${version.blob} of the release log is missing`)
    contents.set(version.blob, object.body)
    return object.body
  }
  const result: LogStep[] = []
  for (const step of steps) {
    const same = step.before?.blob === step.after?.blob
    result.push({ ...step, append: same || isAppend(await content(step.before), await content(step.after)) })
  }
  return result
}
