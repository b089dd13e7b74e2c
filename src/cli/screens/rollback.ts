/** What `headgate rollback` says, and what all that moves the release branch says on the way. */
import { shownRemote } from '../../app/clone/shown-remote.ts'
import type { AppendedLog } from '../../app/release/append-release-log.ts'
import { type Interruptible, type Operator, standingWords } from '../../app/release/operator.ts'
import type { ReleaseResult } from '../../app/release/release-session.ts'
import { driftWords } from '../../app/release/require-no-drift.ts'
import type { RollbackEvent, RollbackPlan, RollbackQuestion } from '../../app/release/rollback.ts'
import { EXIT_CODES } from '../../core/errors.ts'
import { shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { Described } from '../../guard/candidates.ts'
import { requireConsent } from '../ask.ts'
import { interruptible } from '../interruption.ts'
import { colour, plural, printJson } from '../output.ts'
import { type Line, notes, results } from './lines.ts'
import { productionWords } from './production.ts'
import { appendWords } from './release-log.ts'

export const interruptibleOperation: Interruptible = (standing, work) =>
  interruptible(`interrupted; ${standingWords(standing)}`, work)

export const rollingBackOperator: Operator<RollbackQuestion> = {
  consent: (question) => requireConsent(questionWords(question)),
  interruptible: interruptibleOperation,
}

function questionWords(question: RollbackQuestion): string {
  if (question.kind === 'finish-rollback') return 'Verify production, and write it down?'
  const what = question.signing ? 'Approve it with your key and move' : 'Move'
  return `${what} ${question.branch} back to ${shortOid(question.to)}?`
}

export function rollbackLines(event: RollbackEvent): readonly Line[] {
  switch (event.kind) {
    case 'drifted': {
      const { what, fix } = driftWords(event)
      return notes(`remark: ${what}; ${fix}`)
    }
    case 'push-under-way':
      return notes(`a push of ${event.branch} by ${printable(event.by, 60)} is under way; waiting for it`)
    case 'server-said':
      return notes(...event.lines.map((line) => `remote: ${printable(line, 300)}`))
    case 'moved-unsaid':
      return notes(`remark: the server did not say so, but ${event.branch} was moved`)
    case 'log-branch-moved':
    case 'log-written-unsaid':
      return notes(appendWords(event))
    case 'log-written':
      return notes(writtenWords(event.path, event.written))
    case 'rollback-resumed':
      return notes(`${event.branch} is at ${shortOid(event.to)} already, rolled back: going on from there`)
    case 'rollback-planned':
      return notes(...planWords(event.plan))
    case 'approval-signed':
      return notes(`approved by ${printable(event.principal, 60)}`)
    case 'words-left-out':
      return notes(
        'remark: the server takes no push options, so that trigger and symptoms are not in the record of the move',
      )
    case 'rolled-back':
      return [
        ...results(`${colour('yellow', 'rolled back')}: ${event.branch} is at ${shortOid(event.to)}`),
        ...notes(`${shortOid(event.from)} is barred until staging proves it anew`),
      ]
    case 'rollback-in-vain': {
      const text = `PRODUCTION SMOKE FAILED again, at ${shortOid(event.to)}: the rollback did not help`
      return notes(colour('red', text, process.stderr))
    }
    case 'rollback-done': {
      const how = event.verified ? 'production serves it and passed its smoke test' : 'not verified'
      return results(`${colour('green', 'done')}: ${event.branch} is back at ${shortOid(event.to)}; ${how}`)
    }
    default:
      return notes(...productionWords(event))
  }
}

function writtenWords(path: string, { branch, commit, entries }: AppendedLog): string {
  const file = printable(path, 120)
  if (commit === null) return `${file} has the entry already`
  const count = plural(entries.length, 'entry', 'entries')
  return `${file}: ${count} appended on ${printable(branch, 80)}, ${shortOid(commit)}`
}

function planWords({ branch, remote, from, to, undone, ...plan }: RollbackPlan): string[] {
  return [
    colour(
      'bold',
      `${branch} on ${shownRemote(remote, 100)}: back from ${shortOid(from)} to ${shortOid(to)}`,
      process.stderr,
    ),
    `takes back ${plural(undone.length, 'commit')}:`,
    ...undone.slice(0, 10).map(commitWords),
    ...(undone.length > 10 ? [`  and ${undone.length - 10} more`] : []),
    `trigger: ${printable(plan.trigger, 500)}`,
    `symptoms: ${printable(plan.symptoms, 500)}`,
    // A commit's author is not worth an outage.
    ...(plan.hasAuthor
      ? []
      : [
          'remark: git does not know who you are, so that the log entry will be missing: git config user.name',
        ]),
  ]
}

/** A commit in a list of what a move ships or takes back. */
export function commitWords({ oid, author, subject }: Described): string {
  return `  ${shortOid(oid)}  ${printable(author, 12).padEnd(12)}  ${printable(subject, 54)}`.trimEnd()
}

/** What came of a promotion or a rollback: the exit code, and the answer to programs. */
export function showRelease(result: ReleaseResult, { json }: { readonly json: boolean }): void {
  if (result.failed) process.exitCode = EXIT_CODES.refused
  if (!json) return
  const { release, lastMove, production, log } = result
  const { seq, kind, from, to, by, authorizedAt, landedAt } = lastMove ?? {}
  printJson({
    release,
    lastMove: lastMove === null ? null : { record: seq, kind, from, to, by, authorizedAt, landedAt },
    production,
    log: log === null ? null : { ...log, entries: log.entries.map(({ record }) => record) },
  })
}
