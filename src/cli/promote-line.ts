import type { Policy } from '../core/policy.ts'
import { remoteOption } from './shown-remote.ts'

/** The command that promotes a commit, as everything that recommends it prints it; it carries the key that it needs. */
export function promoteLine({ environments }: Policy, commit: string, remote: string): string {
  const { production } = environments
  const key = production === undefined || production.servedCommit === null ? '' : ' --key FILE'
  return `headgate promote ${commit}${key}${remoteOption(remote)}`
}
