/** What is said while a statement is sent, whichever command signs it. */
import type { SubmitEvent } from '../../app/statements/submit.ts'
import { note } from '../output.ts'

export function tellSubmit(event: SubmitEvent): void {
  note(submitWords(event))
}

export function submitWords(event: SubmitEvent): string {
  if (event.kind === 'waiting-for-relay') return 'sent; waiting for the relay, which looks every few seconds'
  return `remark: the server did not say so, but the statement is recorded: record ${event.record}`
}
