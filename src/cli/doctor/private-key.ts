import { accessSync, constants, statSync } from 'node:fs'
import { printable, shellWord } from '../../core/printable.ts'
import { type Finding, problem } from './finding.ts'

/** What is wrong with a private key's file: it must be readable for its owner and nobody else (`mask` tells who else). */
export function checkPrivateKey(path: string, mask = 0o077): Finding[] {
  const shown = printable(path, 500)
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined)
    return [problem('key-missing', `the key ${shown} does not exist`, 'restore it, or name another key')]
  try {
    accessSync(path, constants.R_OK)
  } catch {
    return [
      problem(
        'key-unreadable',
        `the key ${shown} cannot be read by this account`,
        `chmod 600 ${shellWord(path)}  # as its owner`,
      ),
    ]
  }
  if ((status.mode & mask) === 0) return []
  const mode = 0o600 | (status.mode & 0o040 & ~mask)
  return [
    problem(
      'key-open',
      `the key ${shown} can be read or changed by others (mode ${(status.mode & 0o777).toString(8)})`,
      `chmod ${mode.toString(8)} ${shellWord(path)}  # and make a new one if somebody may have read it`,
      { kind: 'chmod', path, mode },
    ),
  ]
}
