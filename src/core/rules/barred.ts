import type { ReleaseRule } from '../decide.ts'
import { formatDuration } from '../duration.ts'
import { startedAt } from '../evidence.ts'
import { shortOid } from '../oid.ts'

/** A commit that production was rolled back from does not return on evidence that did not see the trouble. */
export const barredRule: ReleaseRule = ({ facts, history, now, kind, evidence }) => {
  const bar = history.state.bars.find((candidate) => candidate.commit === facts.to)
  if (bar === undefined) return []
  const since = Date.parse(bar.at)
  const runs = kind === 'rollback' ? evidence.passing : evidence.proving
  if (runs.some((run) => startedAt(run) > since)) return []
  const commit = shortOid(facts.to)
  return [
    {
      rule: 'barred',
      found: [
        `${commit} was rolled back from ${formatDuration(Math.max(0, now - since))} ago (record ${bar.seq}), and no staging run since then proves it`,
      ],
      fix: [
        'promote a fix instead; or, if the commit was not the cause, prove it on staging again:',
        `  headgate gate --mode staging --commit ${commit} --record --key FILE`,
      ],
    },
  ]
}
