/** What is said of entries in the release log: while they are written, and by `headgate log --append`. */

import type { AppendEvent, AppendedLog } from '../../app/release/append-release-log.ts'
import { itemName } from '../../app/release/append-release-log.ts'
import { shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { note, plural, print } from '../output.ts'

export function tellAppend(event: AppendEvent): void {
  note(appendWords(event))
}

export function appendWords(event: AppendEvent): string {
  switch (event.kind) {
    case 'log-branch-moved':
      return `${printable(event.branch, 80)} moved meanwhile; the release log entry is written anew`
    case 'log-written-unsaid':
      return 'remark: the server did not say so, but the release log is written'
  }
}

export function showCaughtUp({ branch, commit, entries }: AppendedLog): void {
  if (commit === null) {
    print('the release log has an entry for every landed move')
    return
  }
  const newest = entries.at(-1)
  if (newest?.smoke === null)
    note(`remark: no production smoke of ${shortOid(newest.commit)} is recorded, and its entry says so`)
  for (const item of entries) print(`${itemName(item)}, record ${item.record}`)
  print(
    `${plural(entries.length, 'entry', 'entries')} appended on ${printable(branch, 80)}, ${shortOid(commit)}`,
  )
}
