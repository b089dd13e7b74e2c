/** What `headgate server` prints. */
import type { installAndApply } from '../../../server/install/admin.ts'
import type { Removal } from '../../../server/install/uninstall.ts'
import { shellWord } from '../../core/printable.ts'
import { note, print } from '../output.ts'
import { showApplied } from './policy.ts'

/** `path`: the repository as it was named. */
export function showInstalled(done: Awaited<ReturnType<typeof installAndApply>>, path: string): void {
  print(`headgate is installed in ${done.repository}; pushers are known by ${done.identity}`)
  for (const name of done.kept) {
    const order = name === 'post-receive' ? 'it runs last' : 'it runs first, and both must pass'
    print(`  the ${name} hook that was there is kept; ${order}`)
  }
  for (const setting of done.settings) print(`  set ${setting}`)
  for (const remark of done.remarks) note(`remark: ${remark}`)
  if (done.policy === null) {
    note('No policy is in force yet, so nothing is guarded but refs/headgate/. Next:')
    note(`  headgate policy apply ${shellWord(path)} DIR`)
    return
  }
  showApplied(done.policy)
}

/** `path`: the repository as it was named. `purge`: whether keys and reflogs were to go, too. */
export function showUninstalled(
  { gitDirectory, restored, settings, stays }: Removal,
  { path, purge }: { readonly path: string; readonly purge: boolean },
): void {
  print(`headgate no longer guards ${gitDirectory}`)
  for (const name of restored) print(`  the ${name} hook that was there before is back`)
  for (const setting of settings) print(`  put back ${setting}`)
  for (const name of stays) print(`  stays: ${name}`)
  if (!purge && stays.some((name) => !name.startsWith('refs/')))
    print(`  headgate server uninstall ${shellWord(path)} --purge removes keys and reflogs`)
}
