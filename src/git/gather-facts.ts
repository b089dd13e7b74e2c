/**
 * Gathers what `decide` needs to know from git. Every read goes through a repository whose environment ignores replace
 * refs, grafts and shallow files, by full ids and full ref names only.
 */

import type { Certificate, ObjectType, Pusher, ReleaseMove, StagingMove, Stray } from '../core/facts.ts'
import { MAX_STRAYS } from '../core/facts.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { gatherBroughtBack } from './gather-bars.ts'
import { gatherLogSteps, PUSH_LIMITS } from './gather-log-steps.ts'
import type { RefUpdate } from './hook-input.ts'
import type { GitRepository } from './repository.ts'

export type ReleaseMoveInput = {
  readonly update: RefUpdate
  /** Where the ref and the staging branch are on disk; null where they do not exist. */
  readonly current: Oid | null
  readonly staging: Oid | null
  readonly pusher: Pusher
  readonly certificate: Certificate
  readonly pusherKeys: readonly string[]
  readonly pushOptions: readonly string[]
  /** Commits that were rolled back from, and the path of the release log. */
  readonly bars: readonly Oid[]
  readonly releaseLog: string
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
  const [onStaging, fastForward, broughtBack] = await Promise.all([
    isCommit && staging !== null ? contains(repository, to, staging) : false,
    isCommit && !isZeroOid(from) ? contains(repository, from, to) : isCommit,
    isCommit ? gatherBroughtBack(repository, input.bars, { from, to }, input.releaseLog) : [],
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
    broughtBack,
    pusher: input.pusher,
    certificate: input.certificate,
    pusherKeys: input.pusherKeys,
    pushOptions: input.pushOptions,
  }
}

/** `isAncestor` is for those who know a faster way to tell than a single question to git. */
export async function gatherStagingMove(
  repository: GitRepository,
  update: RefUpdate,
  current: Oid | null,
  logPath: string,
  isAncestor = (ancestor: Oid, descendant: Oid) => contains(repository, ancestor, descendant),
  limits = PUSH_LIMITS,
): Promise<StagingMove> {
  const from = current ?? '0'.repeat(update.to.length)
  const { ref, to } = update
  const objectType = await typeOf(repository, to)
  const isCommit = objectType === 'commit'
  const fastForward = isCommit && !isZeroOid(from) ? await isAncestor(from, to) : isCommit
  const steps = isCommit && fastForward ? await gatherLogSteps(repository, from, to, logPath, limits) : []
  return {
    ...{ ref, from, claimedFrom: update.from, to, objectType, fastForward },
    releaseLog: { path: logPath, steps },
  }
}

async function contains(repository: GitRepository, ancestor: Oid, descendant: Oid): Promise<boolean> {
  return ancestor === descendant || repository.isAncestor(ancestor, descendant)
}

export async function typeOf(repository: GitRepository, oid: Oid): Promise<ObjectType> {
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
