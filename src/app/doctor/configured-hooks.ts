/** Hooks from configuration, which git 2.54 and newer start beside those of the repository's folder. */
import { printable, shellWord } from '../../core/printable.ts'
import { hookNames } from '../../git/configured-hooks.ts'
import { gitVersion } from '../../git/git-version.ts'
import { askConfig } from '../../git/user-git.ts'
import { type Diagnosis, problem, remark } from './diagnosis.ts'

/** Of the repository, the account and the machine: those that a push by this account starts. */
export function checkConfiguredHooks(gitPath: string, directory: string): Diagnosis[] {
  if (gitVersion(gitPath) < 2054) return []
  const config = (...args: string[]) => askConfig(gitPath, ['--null', ...args], directory)
  return hookNames(config('--name-only', '--get-regexp', '^hook\\..*\\.event$')).flatMap((name) => {
    const values = (key: string, ...more: string[]) =>
      config(...more, `hook.${name}.${key}`)
        .split('\0')
        .slice(0, -1)
    if (values('enabled', '--type=bool', '--get').includes('false')) return []
    const all = values('event', '--get-all')
    const events = all.slice(all.lastIndexOf('') + 1)
    if (events.length === 0) return []
    const shown = `the hook ${printable(name, 100)} of git's configuration`
    const off = `git --git-dir=${shellWord(directory)} config ${shellWord(`hook.${name}.enabled`)} false`
    if (values('command', '--get').length === 0)
      return [problem('configured-hook', `${shown} has no command: git refuses every push`, off)]
    const what = `${shown} runs for ${printable(events.join(', '), 200)} before headgate's, and may refuse what headgate allows`
    return [remark('configured-hook', what, `${off}  # if it is not meant for this repository`)]
  })
}
