/** What a promotion will ship and do, for the person who has to say yes. */

import { shownRemote } from '../app/clone/shown-remote.ts'
import { type Oid, shortOid } from '../core/oid.ts'
import { formatDuration } from '../core/policy/duration.ts'
import { printable } from '../core/printable.ts'
import { describeCommits, evidenceStanding } from '../guard/candidates.ts'
import type { Foresight } from '../guard/foresee.ts'
import { gatherHistory } from '../guard/gather-history.ts'
import { age } from '../guard/gather-status.ts'
import { recordedSmoke } from '../guard/release-entry.ts'
import { colour, plural } from './output.ts'
import type { ReleaseSession } from './release-session.ts'
import { wrapText } from './wrap-text.ts'

/** As many as fit a screen; `git log` shows the others. */
const SHOWN = 15
const MAX_COUNTED = 10_000
const SUBJECT_WIDTH = 54

type Words = { readonly note: string | undefined; readonly plan: string | undefined }

export async function promotionPlan(
  session: ReleaseSession,
  commit: Oid,
  foresight: Foresight,
  { note, plan }: Words,
): Promise<string[]> {
  const { repository, policy, release, view, options } = session
  const now = Date.now()
  const range = release === null ? [commit] : [commit, `^${release}`]
  const commits = await describeCommits(repository, range, MAX_COUNTED)
  const authors = [...new Set(commits.map(({ author }) => author))]
  const history = await gatherHistory(view.snapshot, commit, view.inForce)
  const evidence = evidenceStanding(policy, commit, history, now)
  const proof =
    evidence.at === null
      ? evidence.state
      : `${evidence.state} ${age(evidence.at, now)} ago, by ${printable(evidence.by ?? 'nobody', 60)}${evidence.url === null ? '' : `, at ${printable(evidence.url, 100)}`} (record ${evidence.record})`
  const more =
    commits.length > SHOWN
      ? [`  and ${commits.length - SHOWN} more: git log ${range.map(shortRange).join(' ')}`]
      : []
  const start = release === null ? 'the first release' : `${shortOid(release)} -> ${shortOid(commit)}`
  const waived = foresight.waived.map(({ rule }) => rule)
  return [
    colour(
      'bold',
      `${policy.release} on ${shownRemote(options.remote, 100)}: ${start}, ${plural(commits.length, 'commit')}`,
      process.stderr,
    ),
    `by ${authors
      .slice(0, 5)
      .map((name) => printable(name, 40))
      .join(', ')}${authors.length > 5 ? ` and ${authors.length - 5} more` : ''}`,
    '',
    ...commits
      .slice(0, SHOWN)
      .map(({ oid, author, subject }) =>
        `  ${shortOid(oid)}  ${printable(author, 12).padEnd(12)}  ${printable(subject, SUBJECT_WIDTH)}`.trimEnd(),
      ),
    ...more,
    '',
    ...wrapText(`staging evidence: ${proof}`),
    ...(waived.length === 0 ? [] : [colour('red', `OVERRIDE: waives ${waived.join(', ')}`, process.stderr)]),
    ...foresight.remarks.flatMap((remark) =>
      wrapText(`remark: ${remark}`).map((line) => colour('yellow', line, process.stderr)),
    ),
    ...(note === undefined ? [] : wrapText(`note: ${printable(note, 500)}`)),
    ...(plan === undefined ? [] : wrapText(`plan: ${printable(plan, 500)}`)),
    ...(await remarks(session)),
    ...(await afterwards(session)),
  ]
}

/** What is wrong with the release that this goes on top of. */
async function remarks(session: ReleaseSession): Promise<string[]> {
  const last = await session.lastMove()
  const smoke = last === null ? null : await recordedSmoke(session.view, last)
  if (smoke?.result !== 'FAILED') return []
  const text = `remark: ${session.policy.release} failed its production smoke (record ${smoke.record}); the way back is headgate rollback`
  return wrapText(text).map((line) => colour('yellow', line, process.stderr))
}

async function afterwards(session: ReleaseSession): Promise<string[]> {
  const { policy, options } = session
  const { production } = policy.environments
  const remark = session.smokeRemark()
  const missing = await session.unlogged()
  const others = missing.map(({ kind, to, by }) => `${kind} to ${shortOid(to)} by ${printable(by, 40)}`)
  const log = `${others.length === 0 ? 'the entry' : `its entry, and what is missing before it (${others.reverse().join(', ')}),`} in ${printable(policy.releaseLog, 100)} on ${printable(options.logBranch ?? policy.staging, 80)}`
  const steps =
    production === undefined || production.servedCommit === null
      ? `then: ${log}`
      : `then: wait for production (up to ${formatDuration(options.waitMs)}), its smoke test, ${log}`
  return [
    ...wrapText(steps),
    ...(remark === null
      ? []
      : wrapText(`remark: ${remark}`).map((line) => colour('yellow', line, process.stderr))),
  ]
}

function shortRange(revision: string): string {
  return revision.startsWith('^') ? `^${shortOid(revision.slice(1))}` : shortOid(revision)
}
