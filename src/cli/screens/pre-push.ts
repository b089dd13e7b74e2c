/** What the pre-push hook says, all of it on standard error. */

import { shownRemote } from '../../app/clone/shown-remote.ts'
import { DEADLINE_MS, type PrePushVerdict } from '../../app/pre-push.ts'
import { explainRefusal } from '../../core/explain.ts'
import { printable } from '../../core/printable.ts'
import { note } from '../output.ts'

export function showPrePush(verdict: PrePushVerdict, remote: string): void {
  switch (verdict.kind) {
    case 'passes':
      break
    case 'refused':
      note(explainRefusal(verdict.blamed, verdict.others))
      note('')
      note('Nothing was sent. This is what the server would say; git push --no-verify asks it.')
      break
    case 'unclear':
      showUnclear(printable(verdict.reason, 300))
      break
    case 'no-answer':
      showUnclear(`${shownRemote(remote)} did not answer within ${DEADLINE_MS / 1000} seconds`)
      break
  }
}

function showUnclear(reason: string): void {
  note(`headgate: could not tell beforehand, so the server decides: ${reason}`)
}
