/** A remote as people see it: its name, or its URL without the password in it. */
import { printable, shellWord } from '../../core/printable.ts'
import { withoutSecrets } from '../../core/without-secrets.ts'

export function shownRemote(remote: string, maxLength = 200): string {
  return printable(withoutSecrets(remote), maxLength)
}

/** As a word of a command that can be pasted; git asks for a password then. */
export function remoteWord(remote: string): string {
  return shellWord(withoutSecrets(remote))
}

/** ` --remote URL` for a command; empty for the remote that is taken unless told. */
export function remoteOption(remote: string): string {
  return remote === 'origin' ? '' : ` --remote ${remoteWord(remote)}`
}
