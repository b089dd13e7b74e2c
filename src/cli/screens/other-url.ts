import type { Environment } from '../../core/policy/policy.ts'
import { printable } from '../../core/printable.ts'
import { note } from '../output.ts'

/** What was tested elsewhere proves nothing of this environment, and speaks against nothing: said where it is recorded. */
export function remarkOtherUrl({ name, urls }: Environment): void {
  note(`remark: this run will not count: ${name} is at ${listUrls(urls)} in the policy;`)
  note(`  what is ${name} as well belongs under environments.${name}.urls there`)
}

export function listUrls(urls: readonly string[]): string {
  return urls.map((url) => printable(url)).join(', ')
}
