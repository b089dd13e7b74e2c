import type { LogStep, StagingMove } from '../facts.ts'
import { shortOid } from '../oid.ts'
import { printable } from '../printable.ts'
import type { Objection } from '../verdict.ts'

/** The release log on the staging branch only ever gets longer, commit by commit along first parents. */
export function logAppendOnlyRule({ releaseLog }: StagingMove): readonly Objection[] {
  const path = printable(releaseLog.path, 120)
  const found = releaseLog.steps.flatMap((step) => {
    const objection = stepObjection(step)
    return objection === null ? [] : [`${shortOid(step.commit)} ${objection} ${path}`]
  })
  if (found.length === 0) return []
  return [
    {
      rule: 'log-append-only',
      found: [...new Set(found)].slice(0, 5),
      fix: [
        `${path} is a record: keep every line of it, and add new ones below the last`,
        'rebuild the commit on the branch as it is now, with the log only appended to',
      ],
    },
  ]
}

function stepObjection({ before, after, append }: LogStep): string | null {
  if (after === null) return before === null ? null : 'deletes or renames'
  if (!/^100(644|755)$/.test(after.mode)) return 'makes something else than a file of'
  if (before === null) return null
  if (before.mode !== after.mode) return 'changes the mode of'
  return append ? null : 'edits or shortens'
}
