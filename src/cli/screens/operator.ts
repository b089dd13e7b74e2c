/** What is said of a statement that an operator or approver has made. */
import { remoteOption, remoteWord } from '../../app/clone/shown-remote.ts'
import type { AcceptedDrift } from '../../app/statements/accept-drift.ts'
import type { Frozen } from '../../app/statements/freeze.ts'
import type { Permission } from '../../app/statements/permit.ts'
import type { Retired } from '../../app/statements/retire.ts'
import { shortRef } from '../../core/explain.ts'
import { shortOid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import { printable, shellWord } from '../../core/printable.ts'
import type { RuleName } from '../../core/verdict.ts'
import { colour, note, print, printJson } from '../output.ts'

type Asked = { readonly remote: string; readonly json: boolean }

export function showApproval(permission: Permission, asked: Asked & { readonly expires: string }): void {
  remarkPermission(permission)
  const push = pushOf(permission, asked.remote, 'rollback')
  if (asked.json) {
    printJson({ recorded: 'approval', remote: asked.remote, ...moveOf(permission), push })
    return
  }
  const { branch, short } = permission
  print(
    `approved: ${branch} from ${short.from} back to ${short.to}, once, for ${asked.expires}. An operator runs:`,
  )
  print(`  ${push}`)
}

export function showOverride(
  permission: Permission & { readonly waives: readonly RuleName[] },
  asked: Asked,
): void {
  remarkPermission(permission)
  const { branch, short, waives } = permission
  const push = pushOf(permission, asked.remote, 'promote')
  if (asked.json) {
    printJson({ recorded: 'override', remote: asked.remote, waives, ...moveOf(permission), push })
    return
  }
  print(
    `${colour('red', 'OVERRIDE recorded')}: ${waives.join(', ')} waived once for ${branch} ${short.from} -> ${short.to}. An operator runs:`,
  )
  print(`  ${push}`)
}

/** What programs may want to know of the move. */
function moveOf({ move: { ref, from, to, expiresAt } }: Permission): object {
  return { ref, from, to, expiresAt }
}

function remarkPermission({ branch, release, move, expiresMs, maxAgeMs }: Permission): void {
  if (release !== move.from) {
    const is = release === null ? 'does not exist' : `is at ${shortOid(release)}`
    note(`remark: ${branch} ${is}, and this counts only while it is at ${shortOid(move.from)}`)
  }
  if (expiresMs > maxAgeMs) note(`remark: the policy lets it count for ${formatDuration(maxAgeMs)} only`)
}

/** The push that makes the move, or the command that asks the relay for it. */
function pushOf(
  { branch, short, relayed }: Permission,
  remote: string,
  command: 'promote' | 'rollback',
): string {
  if (relayed) {
    const words = command === 'rollback' ? ' --trigger TEXT --symptoms TEXT' : ''
    return `headgate ${command} ${short.to}${words} --key FILE${remoteOption(remote)}`
  }
  const lease = shellWord(`--force-with-lease=${branch}:${short.from}`)
  return `git push ${lease} ${remoteWord(remote)} ${shellWord(`${short.to}:refs/heads/${branch}`)}`
}

export function showFreeze({ recorded, ref, branch, commit, until }: Frozen, { remote, json }: Asked): void {
  if (json) printJson({ recorded: recorded ? 'freeze' : null, remote, ref, commit, until })
  else if (!recorded) print(`${branch} is not frozen`)
  else if (until === null) print(`${branch} is no longer frozen`)
  else print(`${branch} is ${colour('yellow', 'frozen')} until ${until}; rollbacks stay possible`)
}

export function showDrift(
  { recorded, ref, branch, expected, found }: AcceptedDrift,
  { remote, json }: Asked,
): void {
  if (json) printJson({ recorded: recorded ? 'drift' : null, remote, ref, expected, found })
  else if (!recorded) print(`${branch} has not drifted: it is where its last landed move put it`)
  else
    print(
      `accepted: ${branch} ${found === null ? 'does not exist' : `is at ${shortOid(found)}`}; the next move starts from there`,
    )
}

export function showRetired({ ref, role, found }: Retired, { remote, json }: Asked): void {
  if (json) printJson({ recorded: 'retire', remote, ref, role, found })
  else print(`retired: nobody guards ${printable(shortRef(ref), 200)} any more`)
}
