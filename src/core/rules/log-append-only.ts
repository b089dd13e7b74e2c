import type { LogStep, StagingMove } from '../facts.ts'
import { shortOid } from '../oid.ts'
import { printable, shellWord } from '../printable.ts'
import type { Objection } from '../verdict.ts'

/** The release log on the staging branch only ever gets longer, commit by commit along first parents. */
export function logAppendOnlyRule({ ref, releaseLog }: StagingMove): readonly Objection[] {
  const path = printable(releaseLog.path, 120)
  const bad = releaseLog.steps.flatMap((step) => {
    const objection = stepObjection(step, path)
    return objection === null ? [] : [{ step, found: `${shortOid(step.commit)} ${objection}` }]
  })
  if (bad.length === 0) return []
  const branch = ref.replace(/^refs\/heads\//, '')
  return [
    {
      rule: 'log-append-only',
      found: [...new Set(bad.map(({ found }) => found))].slice(0, 5),
      fix: bad.every(({ step }) => step.before === null)
        ? [`amend the commit: ${path} must be a plain file`]
        : [
            `${path} is a record: keep every line of it, and add new ones below the last. Take it as ${branch} has it, add yours, and amend the commit (an older one by git rebase -i):`,
            `  git checkout ${shellWord(`origin/${branch}`)} -- ${shellWord(releaseLog.path)}`,
            '  git commit --amend',
            ...keepLineEnds(bad.find(({ step }) => step.lineEnds !== undefined)?.step, releaseLog.path),
          ],
    },
  ]
}

/** What keeps an editor or `core.autocrlf` from doing it again. */
function keepLineEnds(step: LogStep | undefined, path: string): string[] {
  if (step === undefined) return []
  const pattern = /^[\w./-]+$/.test(path) ? path : JSON.stringify(path)
  const line = `${pattern} ${step.lineEnds === 'lf' ? 'text eol=lf' : '-text'}`
  return ['and commit a line that keeps its line ends:', `  echo ${shellWord(line)} >> .gitattributes`]
}

function stepObjection({ before, after, append, lineEnds, unclear }: LogStep, path: string): string | null {
  if (unclear !== undefined) return `has a ${path} that cannot be judged: ${printable(unclear)}`
  if (after === null) return before === null ? null : `deletes or renames ${path}`
  if (!/^100(644|755)$/.test(after.mode)) return `makes something else than a file of ${path}`
  if (before === null) return null
  if (before.mode !== after.mode) return `changes the mode of ${path}`
  if (lineEnds !== undefined) return `changes the line ends of ${path}`
  return append ? null : `edits or shortens ${path}`
}
