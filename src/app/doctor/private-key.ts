import { accessSync, constants, statSync } from 'node:fs'
import { accountName, actsFor, asAccount } from '../../../server/install/accounts.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { type Diagnosis, problem } from './diagnosis.ts'

/**
 * What is wrong with a private key's file: only its owner may read it (`mask`: the bits of a mode that let others do so).
 * `repository` is the guarded one that the key belongs to.
 */
export function checkPrivateKey(path: string, mask = 0o077, repository: string | null = null): Diagnosis[] {
  const shown = printable(path, 500)
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined)
    return [problem('key-missing', `the key ${shown} does not exist`, 'restore it, or name another key')]
  const { uid } = status
  const mode = 0o600 | (status.mode & 0o040 & ~mask)
  const chmod = `chmod ${mode.toString(8)} ${shellWord(path)}`
  try {
    accessSync(path, constants.R_OK)
  } catch {
    const what = `the key ${shown} cannot be read by this account`
    if (actsFor(uid))
      return [problem('key-unreadable', what, chmod, { kind: 'chmod', modes: [{ path, mode }] })]
    const owner = accountName(uid)
    return [
      problem(
        'key-unreadable',
        `${what}: it belongs to ${owner}`,
        repository === null
          ? `name a key of your own, or log in as ${owner}`
          : `sudo -u ${owner} headgate doctor ${shellWord(repository)}`,
      ),
    ]
  }
  if ((status.mode & mask) === 0) return []
  return [
    problem(
      'key-open',
      `the key ${shown} can be read or changed by others (mode ${(status.mode & 0o777).toString(8)})`,
      `${asAccount(uid, chmod)}  # and make a new one if somebody may have read it`,
      actsFor(uid) ? { kind: 'chmod', modes: [{ path, mode }] } : undefined,
    ),
  ]
}
