import type { Policy } from '../core/policy.ts'
import { parsePolicy } from '../core/policy-yaml.ts'
import type { PolicyFiles } from '../ledger/ledger.ts'
import type { AllowedSigner } from '../signing/allowed-signers.ts'
import { parseSigners } from './parse-signers.ts'

/** A policy with its keys, as an administrator applied them. */
export type PolicyInForce = {
  readonly version: number
  readonly policy: Policy
  readonly signers: readonly AllowedSigner[]
  readonly files: PolicyFiles
  /** Whether its record says which branches stay guarded: from then on authorizations say which keys were trusted. */
  readonly statesKeys?: boolean
}

/** Parses both files. Throws HeadgateError 'configuration' that lists what is wrong with them, line by line. */
export function parsePolicyFiles(files: PolicyFiles): PolicyInForce {
  const policy = parsePolicy(files.policy)
  return { version: files.version, policy, signers: parseSigners(files), files }
}
