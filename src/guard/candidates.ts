/** The commits of the staging branch that the release branch does not have yet, and which of them may go. */

import { assessEvidence, endedAt } from '../core/evidence.ts'
import type { History } from '../core/history.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import type { Policy } from '../core/policy/policy.ts'
import { isDespite } from '../core/rules/barred.ts'
import type { GitRepository } from '../git/repository.ts'
import { type Foresight, foreseeRelease, refsOf } from './foresee.ts'
import { gatherHistory } from './gather-history.ts'
import type { RemoteView } from './guarded-view.ts'

/** A commit and what people know it by. */
export type Described = {
  readonly oid: Oid
  readonly author: string
  /** When it was committed, ms since the epoch. */
  readonly at: number
  readonly subject: string
}

/**
 * What staging says of a commit.
 *
 * - `passed`       a run proves it
 * - `failed`       the newest run failed
 * - `stale`        it passed too long ago, or under other gates than those of the policy
 * - `incomplete`   a required gate is missing
 * - `other-build`  staging served something else
 * - `invalidated`  the evidence was taken back
 * - `none`         there is none, or none that counts
 */
export type EvidenceStanding = {
  readonly state: 'passed' | 'failed' | 'stale' | 'incomplete' | 'other-build' | 'invalidated' | 'none'
  /** Who signed the run in question and when it ended, ms since the epoch; null without one. */
  readonly by: string | null
  readonly at: number | null
  readonly record: number | null
  /** Where it was made; null where the run does not say. */
  readonly url: string | null
}

export type Candidate = Described & {
  readonly evidence: EvidenceStanding
  /** What the server would say of its promotion; null where there is nothing that could permit it. */
  readonly foresight: Foresight | null
}

/** Far more than a team leaves unreleased; a commit without records costs the reading of one small tree. */
const MAX_SEARCHED = 10_000

/** What keeps so many proved commits back, such as a freeze, keeps back the older ones, too. */
const MAX_JUDGED = 200

/** How many candidates there are: commits that change nothing but the release log bring nothing to production. */
export async function countCandidates(repository: GitRepository, view: RemoteView): Promise<number> {
  const range = rangeOf(view)
  if (range === null) return 0
  const { stdout } = await repository.run(['rev-list', '--count', ...range, '--'])
  return Number(stdout.toString('latin1').trim()) - (await logCommits(repository, view, range)).size
}

/** The commits of the range, merges left out, that change the release log and nothing else. */
async function logCommits(
  repository: GitRepository,
  { inForce }: RemoteView,
  range: readonly string[],
): Promise<ReadonlySet<Oid>> {
  const path = inForce.policy.releaseLog
  const { stdout } = await repository.run([
    ...['log', '-z', '--format=%x01%H', '--no-merges', '--full-history', '--full-diff', '--name-only'],
    ...['--no-renames', '--root', ...range, '--', `:(top,literal)${path}`],
  ])
  const found = new Set<Oid>()
  for (const entry of stdout.toString('utf8').split('\x01').slice(1)) {
    const [oid = '', ...names] = entry.split(/[\0\n]/).filter((part) => part !== '')
    if (names.length === 1 && names[0] === path) found.add(oid)
  }
  return found
}

/** The newest candidates, at most `limit`, each with its evidence. `now` in ms since the epoch. */
export async function* candidates(
  repository: GitRepository,
  view: RemoteView,
  { limit, now }: { limit: number; now: number },
): AsyncGenerator<Candidate, void, undefined> {
  const range = rangeOf(view)
  if (range === null) return
  const logged = await logCommits(repository, view, range)
  const listed = await describeCommits(repository, range, limit + logged.size)
  const oldest = listed.findLastIndex(({ oid }) => !logged.has(oid))
  let count = 0
  for (const [index, described] of listed.entries()) {
    if (count >= limit) return
    const candidate = { ...described, ...(await judgeCandidate(repository, view, described.oid, now)) }
    // Where staging proved the log's commit on top of what is to be released, that commit is the candidate.
    const isLog = logged.has(described.oid)
    if (isLog && (candidate.evidence.state !== 'passed' || index > oldest)) continue
    if (!isLog) count += 1
    yield candidate
  }
}

/** The newest candidate that the server would take now, and the newest that it might: both null if there is none. */
export async function searchPromotable(
  repository: GitRepository,
  view: RemoteView,
  now: number,
  despite: readonly string[] = [],
): Promise<{ promotable: Candidate | null; closest: Candidate | null }> {
  let closest: Candidate | null = null
  let judged = 0
  for await (const candidate of candidates(repository, view, { limit: MAX_SEARCHED, now })) {
    if (candidate.foresight?.answer === 'yes' && isOffered(candidate.foresight, despite))
      return { promotable: candidate, closest: candidate }
    if (candidate.foresight === null) continue
    closest ??= candidate
    judged += 1
    if (judged === MAX_JUDGED) break
  }
  return { promotable: null, closest }
}

/** A commit that brings back what was rolled back is promoted where it is named, and never for being the newest. */
export function isOffered({ broughtBack }: Foresight, despite: readonly string[] = []): boolean {
  return broughtBack.every(({ commit }) => isDespite(despite, commit))
}

/** The commits of a range, newest first. */
export async function describeCommits(
  repository: GitRepository,
  range: readonly string[],
  limit: number,
): Promise<Described[]> {
  const { stdout } = await repository.run([
    ...['log', '-z', `--max-count=${limit}`, '--format=%H%n%ct%n%<(100,trunc)%an%n%<(200,trunc)%s'],
    // Sorting by topology reads the whole range first, which is the whole history where there is no release yet.
    ...(range.length > 1 ? ['--topo-order'] : []),
    ...range,
    '--',
  ])
  return stdout
    .toString('utf8')
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const [oid = '', at = '', author = '', subject = ''] = entry.split('\n')
      return { oid, at: Number(at) * 1000, author: author.trimEnd(), subject: subject.trimEnd() }
    })
}

async function judgeCandidate(
  repository: GitRepository,
  view: RemoteView,
  oid: Oid,
  now: number,
): Promise<{ evidence: EvidenceStanding; foresight: Foresight | null }> {
  const { policy } = view.inForce
  const { release } = refsOf(policy)
  const history = await gatherHistory(view.snapshot, oid, view.inForce)
  const evidence = evidenceStanding(policy, oid, history, now)
  const hopeful =
    evidence.state === 'passed' || history.about.some(({ statement }) => statement.kind === 'override')
  if (!hopeful) return { evidence, foresight: null }
  const update = { from: view.refs.get(release) ?? zeroOidLike(oid), to: oid, ref: release }
  return { evidence, foresight: await foreseeRelease(repository, view, update, { now, toleranceMs: 0 }) }
}

/** What the staging runs about a commit amount to. */
export function evidenceStanding(policy: Policy, oid: Oid, history: History, now: number): EvidenceStanding {
  const { chosen, invalidation } = assessEvidence(policy.environments.staging, oid, policy, history, now)
  if (chosen === null) {
    return invalidation === null
      ? { state: 'none', by: null, at: null, record: null, url: null }
      : {
          state: 'invalidated',
          by: invalidation.signer.trusted ? invalidation.signer.principal : null,
          at: invalidation.at,
          record: invalidation.seq,
          url: null,
        }
  }
  const { record, shortcomings, servedObjection } = chosen
  const codes = shortcomings.map(({ code }) => code)
  const state = codes.includes('failed')
    ? 'failed'
    : codes.includes('gates-missing')
      ? 'incomplete'
      : codes.length > 0
        ? 'stale'
        : servedObjection !== null
          ? 'other-build'
          : 'passed'
  const url = record.statement.predicate.headgate.baseUrl ?? null
  return { state, by: record.signer.principal, at: endedAt(record), record: record.seq, url }
}

/** Arguments of `git log` for what staging has and the release branch has not; null where there is no staging branch. */
function rangeOf(view: RemoteView): string[] | null {
  const { staging, release } = refsOf(view.inForce.policy)
  const [tip, released] = [view.refs.get(staging), view.refs.get(release)]
  if (tip === undefined) return null
  return released === undefined ? [tip] : [tip, `^${released}`]
}
