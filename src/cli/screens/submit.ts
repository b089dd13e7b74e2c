/** What is said while a statement is sent, whichever command signs it. */
import { note } from '../output.ts'
import type { SubmitEvent } from '../submit.ts'

export function tellSubmit({ record }: SubmitEvent): void {
  note(`remark: the server did not say so, but the statement is recorded: record ${record}`)
}
