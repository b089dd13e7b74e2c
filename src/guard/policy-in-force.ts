import { HeadgateError } from '../core/errors.ts'
import type { Policy, Terms } from '../core/policy/policy.ts'
import { policyJson } from '../core/policy/policy-json.ts'
import { parsePolicy } from '../core/policy/policy-yaml.ts'
import { VERSION } from '../core/version.ts'
import type { PolicyFiles, Snapshot } from '../ledger/ledger.ts'
import { POLICY_JSON_FILE, policyPath } from '../ledger/ledger-tree.ts'
import type { AllowedSigner } from '../signing/allowed-signers.ts'
import { parseSigners } from './parse-signers.ts'

/** What decides moves, and the keys, as an administrator applied them. */
export type TermsInForce = {
  readonly version: number
  readonly policy: Terms
  readonly signers: readonly AllowedSigner[]
  readonly files: PolicyFiles
}

/** The same with all that the policy says. */
export type PolicyInForce = TermsInForce & {
  readonly policy: Policy
  /** Whether its record says which branches stay guarded: from then on authorizations say which keys were trusted. */
  readonly statesKeys?: boolean
}

/** Parses both files. Throws HeadgateError 'configuration' that lists what is wrong with them, line by line. */
export function parsePolicyFiles(files: PolicyFiles): PolicyInForce {
  const policy = parsePolicy(files.policy)
  return { version: files.version, policy, signers: parseSigners(files), files }
}

/**
 * The policy of a server's ledger by its text; null where none is in force. Throws HeadgateError 'data' where the server,
 * which reads the JSON beside it, goes by another one.
 */
export async function readPolicyOf(snapshot: Pick<Snapshot, 'policyInForce'>): Promise<PolicyInForce | null> {
  const files = await snapshot.policyInForce()
  if (files === null) return null
  const inForce = parsePolicyFiles(files)
  if (files.json === undefined || files.json === policyJson(inForce.policy)) return inForce
  const path = policyPath(files.version, POLICY_JSON_FILE)
  throw new HeadgateError(
    'data',
    `the ledger's ${path}, by which the server decides, is not ${JSON_OF_TEXT}`,
    {
      hint: 'ask the server admin, who can apply the policy again, and verify the ledger: headgate verify',
    },
  )
}

/** What the JSON beside a policy must be. */
export const JSON_OF_TEXT = `what its policy.yaml says to headgate ${VERSION}`
