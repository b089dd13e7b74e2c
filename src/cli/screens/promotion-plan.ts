/** What a promotion will ship and do, for the person who has to say yes. */
import { shownRemote } from '../../app/clone/shown-remote.ts'
import type { PromotionPlan } from '../../app/release/promotion-plan.ts'
import { shortOid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import { printable } from '../../core/printable.ts'
import { age } from '../../guard/gather-status.ts'
import { colour, plural } from '../output.ts'
import { wrapText } from '../wrap-text.ts'
import { commitWords } from './rollback.ts'

/** As many as fit a screen; `git log` shows the others. */
const SHOWN = 15
const SHOWN_AUTHORS = 5

export function promotionPlanWords(plan: PromotionPlan): string[] {
  const { branch, remote, from, to, commits, waived, note } = plan
  const range = from === null ? shortOid(to) : `${shortOid(to)} ^${shortOid(from)}`
  const more = commits.length - SHOWN
  const start = from === null ? 'the first release' : `${shortOid(from)} -> ${shortOid(to)}`
  return [
    colour(
      'bold',
      `${branch} on ${shownRemote(remote, 100)}: ${start}, ${plural(commits.length, 'commit')}`,
      process.stderr,
    ),
    authorWords(plan),
    '',
    ...commits.slice(0, SHOWN).map(commitWords),
    ...(more > 0 ? [`  and ${more} more: git log ${range}`] : []),
    '',
    ...wrapText(`staging evidence: ${evidenceWords(plan)}`),
    ...(waived.length === 0 ? [] : [colour('red', `OVERRIDE: waives ${waived.join(', ')}`, process.stderr)]),
    ...plan.remarks.flatMap(remarkWords),
    ...(note === undefined ? [] : wrapText(`note: ${printable(note, 500)}`)),
    ...(plan.plan === undefined ? [] : wrapText(`plan: ${printable(plan.plan, 500)}`)),
    ...failedBeforeWords(plan),
    ...wrapText(stepsWords(plan)),
    ...unrecordedWords(plan),
  ]
}

function authorWords({ commits }: PromotionPlan): string {
  const authors = [...new Set(commits.map(({ author }) => author))]
  const shown = authors.slice(0, SHOWN_AUTHORS).map((name) => printable(name, 40))
  const more = authors.length - SHOWN_AUTHORS
  return `by ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function evidenceWords({ evidence: { state, at, by, url, record }, now }: PromotionPlan): string {
  if (at === null) return state
  const where = url === null ? '' : `, at ${printable(url, 100)}`
  return `${state} ${age(at, now)} ago, by ${printable(by ?? 'nobody', 60)}${where} (record ${record})`
}

/** What is wrong with the release that this goes on top of. */
function failedBeforeWords({ branch, failedBefore }: PromotionPlan): string[] {
  if (failedBefore === null) return []
  return remarkWords(
    `${branch} failed its production smoke (record ${failedBefore}); the way back is headgate rollback`,
  )
}

function stepsWords({ waitMs, log: { path, branch, missing } }: PromotionPlan): string {
  const others = missing.map(({ kind, to, by }) => `${kind} to ${shortOid(to)} by ${printable(by, 40)}`)
  const entry =
    others.length === 0
      ? 'the entry'
      : `its entry, and what is missing before it (${others.reverse().join(', ')}),`
  const log = `${entry} in ${printable(path, 100)} on ${printable(branch, 80)}`
  return waitMs === null
    ? `then: ${log}`
    : `then: wait for production (up to ${formatDuration(waitMs)}), its smoke test, ${log}`
}

function unrecordedWords({ unrecorded }: PromotionPlan): string[] {
  if (unrecorded === null) return []
  const why =
    unrecorded === 'no-key' ? 'no key that may sign evidence was named (--smoke-key)' : '--no-record'
  return remarkWords(`the production smoke will run and will not be recorded: ${why}`)
}

function remarkWords(remark: string): string[] {
  return wrapText(`remark: ${remark}`).map((line) => colour('yellow', line, process.stderr))
}
