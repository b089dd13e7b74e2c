/** `core.sharedRepository`: which modes git gives to what it writes, and so do we. */
import { chmodSync, statSync } from 'node:fs'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { makeFolder } from './own-files.ts'
import type { GitRepository } from './repository.ts'

/** `mode`: bits that are added to those of the umask, or with `exact` take their place. Null: the umask alone decides. */
export type Sharing = { readonly mode: number; readonly exact: boolean } | null

const GROUP: Sharing = { mode: 0o660, exact: false }
const EVERYBODY: Sharing = { mode: 0o664, exact: false }

/** What the repository's own configuration says. Throws HeadgateError 'configuration' where git would not take it. */
export async function readSharing(repository: GitRepository): Promise<Sharing> {
  const { stdout } = await repository.run(
    ['config', '--null', '--includes', '--get-regexp', '^core\\.sharedrepository$'],
    { allowExit: [0, 1] },
  )
  const last = stdout.toString('utf8').split('\0').at(-2)
  if (last === undefined) return null
  const end = last.indexOf('\n')
  // A name without `=` is another value than an empty one.
  const value = end < 0 ? null : last.slice(end + 1)
  const sharing = parseSharing(value)
  if (sharing !== undefined) return sharing
  throw new HeadgateError('configuration', `core.sharedRepository is ${printable(value ?? '', 100)}`, {
    hint: 'git takes false, true, group, all or a mode such as 0640: git config core.sharedRepository group',
  })
}

/** As git's `git_config_perm` reads it; undefined for what git refuses. */
export function parseSharing(value: string | null): Sharing | undefined {
  if (value === null || value === 'group') return GROUP
  if (value === 'umask') return null
  if (value === 'all' || value === 'world' || value === 'everybody') return EVERYBODY
  const octal = /^[ \t\n\v\f\r]*([+-]?)([0-7]*)$/.exec(value)
  if (octal === null || (octal[2] === '' && value !== '')) return byTruth(value)
  const number = Number.parseInt(`0${octal[2]}`, 8) * (octal[1] === '-' ? -1 : 1)
  if (number === 0) return null
  if (number === 1) return GROUP
  if (number === 2) return EVERYBODY
  return (number & 0o600) === 0o600 ? { mode: number & 0o666, exact: true } : undefined
}

function byTruth(value: string): Sharing | undefined {
  if (/^(?:true|yes|on)$/i.test(value)) return GROUP
  if (/^(?:false|no|off)$/i.test(value)) return null
  const number = /^\s*([+-]?)(0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*)[kmg]?$/i.exec(value)?.[2]
  if (number === undefined) return undefined
  return /^0(?:x0+)?$|^0+$/i.test(number) ? null : GROUP
}

/** As git's `adjust_shared_perm` does it: from the mode that something has to the one that it must have. */
export function sharedMode(mode: number, isFolder: boolean, sharing: Sharing): number {
  if (sharing === null) return mode
  let bits = sharing.mode
  if ((mode & 0o200) === 0) bits &= ~0o222
  // Accounts that may read it may run it, too.
  if ((mode & 0o100) !== 0) bits |= (bits & 0o444) >> 2
  const shared = sharing.exact ? (mode & ~0o777) | bits : mode | bits
  if (!isFolder) return shared
  const folder = shared | ((shared & 0o444) >> 2)
  // What is made in it belongs to its group, whatever the group of the account that makes it.
  return (folder & 0o060) === 0 ? folder : folder | 0o2000
}

/** Makes a folder where there is none, and gives it the mode that it must have. Throws what the system says. */
export function shareFolder(path: string, sharing: Sharing): void {
  makeFolder(path)
  const mode = statSync(path).mode & 0o7777
  const wanted = sharedMode(mode, true, sharing)
  if (wanted !== mode) chmodSync(path, wanted)
}
