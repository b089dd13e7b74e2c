import { HeadgateError } from '../core/errors.ts'
import type { Policy } from '../core/policy.ts'
import { parsePolicy } from '../core/policy-yaml.ts'
import type { PolicyFiles } from '../ledger/ledger.ts'
import { type AllowedSigner, parseAllowedSigners } from '../signing/allowed-signers.ts'

/** A policy with its keys, as an administrator applied them. */
export type PolicyInForce = {
  readonly version: number
  readonly policy: Policy
  readonly signers: readonly AllowedSigner[]
  readonly files: PolicyFiles
}

/** Parses both files. Throws HeadgateError 'configuration' that lists what is wrong with them, line by line. */
export function parsePolicyFiles(files: PolicyFiles): PolicyInForce {
  const policy = parsePolicy(files.policy)
  return { version: files.version, policy, signers: parseSigners(files), files }
}

/** The keys alone. */
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
