import type { Policy } from '../../core/policy/policy.ts'
import { remoteOption } from '../clone/shown-remote.ts'

/** The command that promotes a commit, as everything that recommends it prints it; it carries what it needs. */
export function promoteLine(policy: Policy, commit: string, remote: string): string {
  const note = policy.promotion.notes === 'required' ? " --note 'TEXT'" : ''
  return `${goOnLine(policy, commit, remote)}${note}`
}

/** The same where the branch has moved already. */
export function goOnLine({ environments }: Policy, commit: string, remote: string): string {
  const { production } = environments
  const key = production === undefined || production.servedCommit === null ? '' : ' --key FILE'
  return `headgate promote ${commit}${key}${remoteOption(remote)}`
}
