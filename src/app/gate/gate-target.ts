/** What a run of gates is about: which environment, at which URL, for which commit, by whose policy. */

import { readPolicyText } from '../../../server/install/policy-files.ts'
import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import type { Environment, Policy } from '../../core/policy/policy.ts'
import { parsePolicy } from '../../core/policy/policy-yaml.ts'
import { printable } from '../../core/printable.ts'
import { parseBaseUrl } from '../../gate/base-url.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { type GuardedPlace, guardedPlace } from '../clone/guarded-place.ts'
import { remotePolicy } from '../clone/remote-policy.ts'
import { requireBaseUrl } from '../requirements.ts'
import { releasedCommit } from './gate-commit.ts'

export type TargetOptions = {
  /** Which environment; what the variable MODE says unless told, else staging. */
  readonly mode: 'staging' | 'prod' | undefined
  /** Where it is; what the variable BASE says unless told, else the policy's URL. */
  readonly url: string | undefined
  /** What it must serve; HEAD unless told, and of production the release. */
  readonly commit: string | undefined
  /** Whether the result is to be recorded: then the policy in force counts, and no other. */
  readonly record: boolean
  readonly remote: string
}

export type GateTarget = {
  readonly policy: Policy
  readonly environment: Environment
  readonly baseUrl: string
  readonly commit: Oid
  /** Whether the commit is where the release branch is on the remote; else it was named, or is what is checked out. */
  readonly isRelease: boolean
  /** The top of the caller's working tree, else the caller's folder. */
  readonly folder: string
  /** Where the result is to be recorded; null where it is not. */
  readonly place: GuardedPlace | null
  /** What is looked at where the remote is asked. */
  readonly reads: string
}

/** Throws HeadgateError 'usage' or 'configuration' for what is wrong with the call; nothing was asked of the environment. */
export async function findTarget(client: ClientRepository, options: TargetOptions): Promise<GateTarget> {
  const { MODE, BASE } = client.caller.environment
  const mode = options.mode ?? parseMode(MODE)
  const ofRelease = mode === 'prod' && options.commit === undefined
  const [named, top] = await Promise.all([
    ofRelease ? null : client.resolveCommit(options.commit ?? 'HEAD'),
    client.topLevel(),
  ])
  const folder = top ?? client.caller.folder
  const place = options.record ? await guardedPlace(client, options.remote) : null
  const policy = await findPolicy(client, folder, place)
  const environment = mode === 'prod' ? policy.environments.production : policy.environments.staging
  if (environment === undefined) {
    throw new HeadgateError('configuration', 'the policy has no environments.production', {
      hint: 'add it to .headgate/policy.yaml; docs/policy-reference.md shows one',
    })
  }
  const reads = place?.reads ?? options.remote
  const released = named === null ? await releasedCommit(client, reads, policy) : null
  const commit = named ?? released ?? (await client.resolveCommit('HEAD'))
  const baseUrl =
    options.url !== undefined
      ? requireBaseUrl('--url', options.url)
      : BASE
        ? requireBaseUrl('BASE', BASE)
        : parseBaseUrl(environment.url).text
  return { policy, environment, baseUrl, commit, isRelease: released !== null, folder, place, reads }
}

function parseMode(text: string | undefined): 'staging' | 'prod' {
  if (text === undefined || text === '' || text === 'staging') return 'staging'
  if (text === 'prod' || text === 'production') return 'prod'
  throw new HeadgateError('usage', `MODE=${printable(text, 50)} is neither staging nor prod`, {
    hint: 'set it to one of these, or unset it',
  })
}

/** Only the policy in force counts on the server; the working tree's is for trying out. */
async function findPolicy(
  client: ClientRepository,
  folder: string,
  place: GuardedPlace | null,
): Promise<Policy> {
  // A team that tries gates has not made all the keys yet.
  if (place === null) return parsePolicy(readPolicyText(folder))
  return (await remotePolicy(client, place.reads)).policy
}
