/** What the server admin's commands do, on the machine that holds the repository. */
import { userInfo } from 'node:os'
import { parsePolicyFiles } from '../src/audit/policy-in-force.ts'
import { HeadgateError } from '../src/core/errors.ts'
import { findGit } from '../src/git/find-git.ts'
import { openRepository } from '../src/git/repository.ts'
import { type AppliedPolicy, applyPolicy } from './apply-policy.ts'
import { type GuardedRepository, openGuarded } from './guarded-repository.ts'
import { installServer } from './install.ts'
import { type PolicySource, readPolicyFolder, readPolicyFromTip } from './policy-files.ts'

export type PolicyReport = {
  readonly version: number
  readonly changed: boolean
  readonly baseline: string | null
  readonly release: string
  readonly staging: string
  readonly enforcement: string
  readonly from: string
}

/** Installs, then applies the policy: from `folder`, else from the tip of main where it is there. */
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
  return {
    repository: gitDirectory,
    kept,
    settings,
    policy: source === null ? null : await withGuarded(gitDirectory, (guarded) => apply(guarded, source)),
  }
}

export async function applyPolicyTo(path: string, folder: string | undefined): Promise<PolicyReport> {
  const source = await findPolicy(path, folder)
  if (source === null) {
    throw new HeadgateError(
      'configuration',
      `there is no .headgate/policy.yaml at the tip of main in ${path}`,
      {
        hint: 'name a folder that has one: headgate policy apply REPO.git DIR',
      },
    )
  }
  return withGuarded(path, (guarded) => apply(guarded, source))
}

/** The policy in force, as it was applied. Null if none is. */
export async function policyInForce(
  path: string,
): Promise<{ version: number; policy: string; allowedSigners: string } | null> {
  return withGuarded(path, async ({ ledger }) => (await ledger.snapshot()).policyInForce())
}

async function findPolicy(path: string, folder: string | undefined): Promise<PolicySource | null> {
  if (folder !== undefined) return readPolicyFolder(folder)
  const repository = await openRepository(path, { gitPath: findGit() })
  try {
    return await readPolicyFromTip(repository)
  } finally {
    repository.close()
  }
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
