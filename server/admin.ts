/** What the server admin's commands do, on the machine that holds the repository. */
import { userInfo } from 'node:os'
import { parsePolicyFiles } from '../src/audit/policy-in-force.ts'
import { HeadgateError } from '../src/core/errors.ts'
import { findGit } from '../src/git/find-git.ts'
import { type GitRepository, openRepository } from '../src/git/repository.ts'
import { type AppliedPolicy, applyPolicy } from './apply-policy.ts'
import { type GuardedRepository, openGuarded, stagingRef } from './guarded-repository.ts'
import { installServer } from './install.ts'
import { type PolicySource, readPolicyFolder, readPolicyFromTip, readPolicyInForce } from './policy-files.ts'
import { readSettings } from './settings.ts'

export type PolicyReport = {
  readonly version: number
  readonly changed: boolean
  readonly baseline: string | null
  readonly release: string
  readonly staging: string
  readonly enforcement: string
  readonly from: string
}

/**
 * Installs, then applies the policy: from `folder`, else from the tip of the staging branch where it is there. Without
 * either, the policy that is in force already stays so.
 */
export async function installAndApply(
  path: string,
  identity: string,
  folder: string | undefined,
): Promise<{
  repository: string
  kept: readonly string[]
  settings: readonly string[]
  policy: PolicyReport | null
}> {
  // A wrong policy is found before anything is written.
  const source = await findPolicy(path, folder)
  if (source !== null)
    parsePolicyFiles({ version: 1, policy: source.policy, allowedSigners: source.allowedSigners })
  const { gitDirectory, kept, settings } = await installServer(path, identity)
  const policy = await withGuarded(gitDirectory, async (guarded) => {
    const inForce = source ?? (await sourceInForce(guarded.repository))
    return inForce === null ? null : apply(guarded, inForce)
  })
  return { repository: gitDirectory, kept, settings, policy }
}

export async function applyPolicyTo(path: string, folder: string | undefined): Promise<PolicyReport> {
  const source = await findPolicy(path, folder)
  if (source === null) {
    throw new HeadgateError(
      'configuration',
      `there is no .headgate/policy.yaml at the tip of the staging branch of ${path}`,
      {
        hint: 'push it there, or name a folder that has one: headgate policy apply REPO.git DIR',
      },
    )
  }
  return withGuarded(path, (guarded) => apply(guarded, source))
}

/** The policy in force, as it was applied. Null if none is. */
export async function policyInForce(
  path: string,
): Promise<{ version: number; policy: string; allowedSigners: string } | null> {
  const repository = await openRepository(path, { gitPath: findGit() })
  try {
    readSettings(repository.commonDirectory)
    return await readPolicyInForce(repository)
  } finally {
    repository.close()
  }
}

async function findPolicy(path: string, folder: string | undefined): Promise<PolicySource | null> {
  if (folder !== undefined) return readPolicyFolder(folder)
  const repository = await openRepository(path, { gitPath: findGit() })
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
  const applied: AppliedPolicy = await applyPolicy(guarded, source, `admin ${userInfo().username}`, Date.now)
  const { release, staging, enforcement } = applied.policy
  return {
    version: applied.version,
    changed: applied.changed,
    baseline: applied.baseline,
    release,
    staging,
    enforcement,
    from: source.from,
  }
}

async function withGuarded<T>(path: string, action: (guarded: GuardedRepository) => Promise<T>): Promise<T> {
  const repository = await openRepository(path, { gitPath: findGit() })
  const directory = repository.commonDirectory
  repository.close()
  const guarded = await openGuarded(directory)
  try {
    return await action(guarded)
  } finally {
    guarded.close()
  }
}
