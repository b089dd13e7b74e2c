/** What `headgate evidence` prints: what was recorded, what is there, what was taken back. */

import { shownRemote } from '../../app/clone/shown-remote.ts'
import type { AddedEvidence } from '../../app/statements/add-evidence.ts'
import type { EvidenceList, ListedEvidence } from '../../app/statements/list-evidence.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import { printable } from '../../core/printable.ts'
import { note, plural, print, printJson, table } from '../output.ts'
import { listUrls, remarkOtherUrl } from './other-url.ts'

type Asked = { readonly remote: string; readonly json: boolean }

/** A report can have one for each of its cases. */
const MAX_REMARKS = 10

export function showAdded(added: AddedEvidence, { remote, json }: Asked): void {
  const { commit, environment, result, gates, unproved, baseUrl } = added
  if (json) {
    const answer = { remote, commit, environment: environment.name, url: baseUrl, result }
    printJson({ recorded: 'evidence', ...answer, gates, unproved })
  } else {
    print(
      `${result} evidence for ${shortOid(commit)} on ${environment.name} is recorded on ${shownRemote(remote)}`,
    )
  }
  remarkAdded(added)
}

/** What it is not worth, and why. */
function remarkAdded(added: AddedEvidence): void {
  const { environment, baseUrl, remarks, unknown, omitted, unproved, lacksServedCommit } = added
  if (baseUrl === null)
    note(`remark: it does not say where it was made; name that with --url: ${listUrls(environment.urls)}`)
  else if (!environment.urls.includes(baseUrl)) remarkOtherUrl(environment)
  for (const remark of remarks.slice(0, MAX_REMARKS)) note(`remark: ${remark}`)
  if (remarks.length > MAX_REMARKS) note(`remark: ${remarks.length - MAX_REMARKS} more of this kind`)
  if (unknown.length > 0) note(`remark: the policy has no such gates: ${listed(unknown)}`)
  if (omitted > 0)
    note(`remark: ${plural(omitted, 'result')} that no gate of the policy has the name of are left out`)
  if (unproved.length > 0)
    note(`remark: it permits no promotion, for required gates are missing or skipped: ${listed(unproved)}`)
  if (lacksServedCommit)
    note('remark: it permits no promotion without --served-commit, which the policy requires')
}

function listed(names: readonly string[]): string {
  const more = names.length > 10 ? ` and ${names.length - 10} more` : ''
  return (
    names
      .slice(0, 10)
      .map((name) => printable(name, 60))
      .join(', ') + more
  )
}

export function showEvidence({ commit, evidence }: EvidenceList, { remote, json }: Asked): void {
  if (json) printJson({ commit, evidence })
  else if (evidence.length === 0)
    print(`there is no evidence for ${shortOid(commit)} on ${shownRemote(remote)}`)
  else print(table(COLUMNS, evidence.map(cells)))
}

const COLUMNS = ['record', 'result', 'environment', 'URL', 'age', 'by', 'gates']

function cells({ record, at, by, result, environment, url, gates, reason }: ListedEvidence): string[] {
  const age = formatDuration(Math.max(0, Date.now() - Date.parse(at)))
  const bad = [...(gates?.failed ?? []), ...(gates?.warned ?? [])]
  const passed = `${gates?.passed.length} passed${bad.length === 0 ? '' : `; not: ${bad.join(', ')}`}`
  return [String(record), result, environment ?? '-', url ?? '-', age, by, reason ?? passed]
}

export function showInvalidated(commit: Oid, { remote, json }: Asked): void {
  if (json) printJson({ recorded: 'invalidation', remote, commit })
  else print(`the evidence for ${shortOid(commit)} is invalidated on ${shownRemote(remote)}`)
}
