/** What ssh-keygen of PATH is asked besides signatures: a key's public half, and a new pair. It may ask at the terminal. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { HeadgateError } from '../core/errors.ts'
import { parseKeyLine } from './key-line.ts'
import type { SshKey } from './ssh-key.ts'

/**
 * The public half of the key in a file, which may be a public key itself. Null where it does not show without a passphrase,
 * or is no plain key.
 */
export function publicKeyOf(keyFile: string): SshKey | null {
  for (const file of [`${keyFile}.pub`, keyFile]) {
    const key = keyOf(readIfThere(file))
    if (key !== null) return key
  }
  // Without a passphrase to give it ends with an error for a key that has one.
  const made = spawnSync('ssh-keygen', ['-y', '-P', '', '-f', keyFile], { encoding: 'utf8', stdio: 'pipe' })
  return made.status === 0 ? keyOf(made.stdout) : null
}

/**
 * Makes an Ed25519 pair, FILE and FILE.pub. `passphrase`: whether ssh-keygen asks for one. Throws HeadgateError
 * 'configuration' where it does not make it.
 */
export function makeKeyPair(file: string, comment: string, passphrase: boolean): void {
  const args = ['-q', '-t', 'ed25519', '-C', comment, '-f', file, ...(passphrase ? [] : ['-N', ''])]
  const made = spawnSync('ssh-keygen', args, { stdio: ['inherit', 'ignore', 'pipe'], encoding: 'utf8' })
  if (made.error === undefined && made.status === 0) return
  const reason =
    made.error === undefined ? made.stderr.trim().split('\n').at(-1) : 'ssh-keygen cannot be started'
  throw new HeadgateError('configuration', `the key ${file} was not made: ${reason}`, {
    hint: 'install OpenSSH, and name a folder that exists and is yours',
  })
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** Null where the first line is no public key, such as that of a private key or of a certificate. */
function keyOf(text: string): SshKey | null {
  const [line = ''] = text.split(/\r?\n/, 1)
  try {
    return parseKeyLine(line)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return null
  }
}
