/** Accounts and groups of this machine, by the names that people use. */
import { spawnSync } from 'node:child_process'
import { userInfo } from 'node:os'
import { printable, shellWord } from '../../src/core/printable.ts'

export function accountName(uid: number): string {
  return nameOf('/usr/bin/id', ['-nu', String(uid)]) ?? String(uid)
}

export function groupName(gid: number): string {
  return nameOf('/usr/bin/getent', ['group', String(gid)])?.split(':')[0] ?? String(gid)
}

/** The account of this process; in a container it may have a number and no name. */
export function ownName(): string {
  const uid = process.getuid?.()
  return uid === undefined ? userInfo().username : accountName(uid)
}

/** Whether this process may change the mode of what that account owns. */
export function actsFor(uid: number): boolean {
  const me = process.getuid?.()
  return me === undefined || me === 0 || me === uid
}

/** A command as somebody runs it who may: as it is, or as that account. */
export function asAccount(uid: number, command: string): string {
  return actsFor(uid) ? command : `sudo -u ${shellWord(accountName(uid))} ${command}`
}

function nameOf(program: string, args: readonly string[]): string | undefined {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8', env: { LC_ALL: 'C' } })
  const name = printable(stdout?.trim() ?? '', 100)
  return name === '' ? undefined : name
}
