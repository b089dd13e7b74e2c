/** The policy of a working tree, and the one that is in force somewhere. */

import { policyInForce } from '../../server/install/admin.ts'
import { hasPolicy, parsePolicySource, readPolicyFolder } from '../../server/install/policy-files.ts'
import { lacksOfStagingFirst, type PROFILES } from '../audit/policy-profile.ts'
import { HeadgateError } from '../core/errors.ts'
import type { Policy } from '../core/policy/policy.ts'
import { findGit } from '../git/find-git.ts'
import { policyRemarks } from '../guard/policy-remarks.ts'
import type { PolicyFiles } from '../ledger/ledger.ts'
import type { Caller } from './caller.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { fetchLedger } from './clone/fetch-copies.ts'

export type CheckedPolicy = {
  /** The folder that it was read from. */
  readonly from: string
  readonly policy: Policy
  /** How many keys its allowed_signers lists. */
  readonly keys: number
  /** What is valid and probably not meant. */
  readonly remarks: readonly string[]
  /** What the profile asks for and the policy lacks; null where none was named. */
  readonly lacks: readonly string[] | null
}

/**
 * `folder`: a `.headgate` folder, or one that holds it; undefined for the caller's own, else that of the working tree.
 * Throws HeadgateError 'configuration' that lists everything that is wrong.
 */
export async function checkPolicy(
  caller: Caller,
  { folder, profile }: { readonly folder: string | undefined; readonly profile: Profile | undefined },
): Promise<CheckedPolicy> {
  const source = readPolicyFolder(folder ?? (await ownFolder(caller)))
  const inForce = parsePolicySource(source)
  return {
    from: source.from,
    policy: inForce.policy,
    keys: inForce.signers.length,
    remarks: policyRemarks(inForce),
    lacks: profile === undefined ? null : lacksOfStagingFirst(inForce.policy),
  }
}

type Profile = (typeof PROFILES)[number]

async function ownFolder(caller: Caller): Promise<string> {
  if (hasPolicy('.')) return '.'
  return (await new ClientRepository(caller).topLevel()) ?? '.'
}

/**
 * The files of the policy in force: of the bare repository at `path` on this machine, or of a remote of the caller's clone.
 * Throws HeadgateError 'configuration' where none is.
 */
export async function policyFilesInForce(
  caller: Caller,
  { path, remote }: { readonly path: string | undefined; readonly remote: string },
): Promise<PolicyFiles> {
  const files =
    path === undefined
      ? await filesOfRemote(caller, remote)
      : await policyInForce(path, findGit(caller.environment))
  if (files !== null) return files
  throw new HeadgateError('configuration', 'no policy is in force: nothing is guarded but refs/headgate/', {
    hint: 'headgate policy apply REPO.git DIR',
  })
}

async function filesOfRemote(caller: Caller, remote: string): Promise<PolicyFiles | null> {
  const { snapshot, close } = await fetchLedger(new ClientRepository(caller), remote)
  try {
    return await snapshot.policyInForce()
  } finally {
    close()
  }
}
