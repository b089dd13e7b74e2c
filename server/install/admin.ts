/** What the server admin's commands do, on the machine that holds the repository. */

import { existsSync } from 'node:fs'
import { HeadgateError } from '../../src/core/errors.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { stagingRef } from '../../src/core/refs.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { policyRemarks } from '../../src/guard/policy-remarks.ts'
import { type GuardedRepository, openGuarded } from '../guarded-repository.ts'
import { settingsPath } from '../settings.ts'
import { ownName } from './accounts.ts'
import { type AppliedPolicy, applyPolicy, requireForHooks } from './apply-policy.ts'
import { type InstallOptions, installServer, requireOwnWritable } from './install.ts'
import { openNamed } from './open-named.ts'
import {
  type PolicySource,
  parsePolicySource,
  readPolicyFolder,
  readPolicyFromTip,
  readPolicyInForce,
} from './policy-files.ts'

export type PolicyReport = {
  readonly version: number
  readonly changed: boolean
  readonly baseline: string | null
  readonly release: string
  readonly staging: string
  readonly enforcement: string
  readonly from: string
  /** What is valid and probably not meant. */
  readonly remarks: readonly string[]
}

/**
 * Installs, then applies the policy: from `folder`, else from the tip of the staging branch where it is there. Without
 * either, the policy that is in force already stays so.
 */
export async function installAndApply(
  options: InstallOptions & {
    /** A folder with a policy. */
    readonly folder?: string | undefined
  },
): Promise<{
  repository: string
  identity: string
  kept: readonly string[]
  settings: readonly string[]
  remarks: readonly string[]
  policy: PolicyReport | null
}> {
  // A wrong policy is found before anything is written.
  const { path, gitPath, folder } = options
  const source = await findPolicy(path, gitPath, folder)
  const policies = source === null ? [] : [parsePolicySource(source).policy]
  for (const policy of policies) requireForHooks(policy)
  const { gitDirectory, ...done } = await installServer({ ...options, policies })
  const policy = await withGuarded(gitDirectory, gitPath, async (guarded) => {
    const inForce = source ?? (await sourceInForce(guarded.repository))
    return inForce === null ? null : apply(guarded, inForce)
  })
  return { repository: gitDirectory, ...done, policy }
}

export async function applyPolicyTo(
  path: string,
  gitPath: string,
  folder: string | undefined,
): Promise<PolicyReport> {
  const source = await findPolicy(path, gitPath, folder)
  if (source === null) {
    throw new HeadgateError(
      'configuration',
      `there is no .headgate/policy.yaml at the tip of the staging branch of ${path}`,
      {
        hint: 'push it there, or name a folder that has one: headgate policy apply REPO.git DIR',
      },
    )
  }
  parsePolicySource(source)
  return withGuarded(path, gitPath, (guarded) => {
    requireOwnWritable(guarded.repository.commonDirectory)
    return apply(guarded, source)
  })
}

/** The policy in force, as it was applied. Null if none is. */
export async function policyInForce(
  path: string,
  gitPath: string,
): Promise<{ version: number; policy: string; allowedSigners: string } | null> {
  const repository = await openNamed(path, gitPath)
  try {
    if (!existsSync(settingsPath(repository.commonDirectory))) {
      throw new HeadgateError('configuration', `headgate is not installed in ${repository.commonDirectory}`, {
        hint: 'name a guarded bare repository; in a clone, headgate policy show asks its remote',
      })
    }
    return await readPolicyInForce(repository)
  } finally {
    repository.close()
  }
}

async function findPolicy(
  path: string,
  gitPath: string,
  folder: string | undefined,
): Promise<PolicySource | null> {
  if (folder !== undefined) return readPolicyFolder(folder)
  const repository = await openNamed(path, gitPath)
  try {
    const files = await readPolicyInForce(repository)
    return await readPolicyFromTip(
      repository,
      files === null ? null : stagingRef(parsePolicyFiles(files).policy),
    )
  } finally {
    repository.close()
  }
}

async function sourceInForce(repository: GitRepository): Promise<PolicySource | null> {
  const files = await readPolicyInForce(repository)
  return files === null ? null : { ...files, from: 'the ledger' }
}

async function apply(guarded: GuardedRepository, source: PolicySource): Promise<PolicyReport> {
  const applied: AppliedPolicy = await applyPolicy(guarded, source, `admin ${ownName()}`, Date.now)
  const { release, staging, enforcement } = applied.policy
  return {
    version: applied.version,
    changed: applied.changed,
    baseline: applied.baseline,
    release,
    staging,
    enforcement,
    from: source.from,
    remarks: policyRemarks(parsePolicySource(source)),
  }
}

async function withGuarded<T>(
  path: string,
  gitPath: string,
  action: (guarded: GuardedRepository) => Promise<T>,
): Promise<T> {
  const repository = await openNamed(path, gitPath)
  const directory = repository.commonDirectory
  repository.close()
  const guarded = await openGuarded(directory, async (text) => parsePolicy(text))
  try {
    return await action(guarded)
  } finally {
    guarded.close()
  }
}
