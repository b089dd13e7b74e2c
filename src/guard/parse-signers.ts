import { HeadgateError } from '../core/errors.ts'
import type { PolicyFiles } from '../ledger/ledger.ts'
import { type AllowedSigner, parseAllowedSigners } from '../signing/allowed-signers.ts'

/** The keys of a policy, alone. Throws HeadgateError 'configuration' that lists what is wrong with them, line by line. */
export function parseSigners(files: PolicyFiles): readonly AllowedSigner[] {
  const { signers, problems } = parseAllowedSigners(files.allowedSigners)
  if (problems.length > 0) {
    const lines = problems.map(({ line, message }) => `allowed_signers:${line}: ${message}`)
    throw new HeadgateError('configuration', lines.join('\n'), {
      hint: 'the format is in ssh-keygen(1), ALLOWED SIGNERS; `headgate key generate` prints a line that fits',
    })
  }
  return signers
}
