/**
 * Hooks from configuration: since git 2.54 `hook.NAME.event` and `hook.NAME.command` start programs beside the hooks of
 * the repository's folder, and `core.hooksPath` does not switch them off.
 */
import { shellWord } from '../core/printable.ts'

/** The environment in which none of these hooks starts, in any git. Each must be named: no setting stands for all. */
export function withoutHooks(names: readonly string[]): Record<string, string> {
  const environment: Record<string, string> = { GIT_CONFIG_COUNT: String(names.length * 2) }
  for (const [index, name] of names.entries()) {
    // An empty value forgets the events before it; a hook without a command would end git even where it is disabled.
    environment[`GIT_CONFIG_KEY_${index * 2}`] = `hook.${name}.event`
    environment[`GIT_CONFIG_VALUE_${index * 2}`] = ''
    environment[`GIT_CONFIG_KEY_${index * 2 + 1}`] = `hook.${name}.enabled`
    environment[`GIT_CONFIG_VALUE_${index * 2 + 1}`] = 'false'
  }
  return environment
}

/** What `git config --null --name-only --get-regexp '^hook\..*\.event$'` prints. */
export function hookNames(output: string): string[] {
  const names = output.split('\0').map((key) => /^hook\.(.+)\.event$/s.exec(key)?.[1])
  return [...new Set(names.filter((name) => name !== undefined))]
}

/** `git` as an admin starts it to mend a guarded repository: by its path, and past all hooks. */
export function gitWithoutHooks(directory: string): string {
  return `git --git-dir=${shellWord(directory)} -c core.hooksPath=/dev/null -c hook.reference-transaction.enabled=false`
}
