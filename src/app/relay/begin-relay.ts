/** `relay init` and `relay apply`: a relay's folder, and the policy that it goes by. */
import { userInfo } from 'node:os'
import {
  type PolicySource,
  readPolicyFolder,
  readPolicyFromTip,
} from '../../../server/install/policy-files.ts'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { branchRef } from '../../core/refs.ts'
import { type AppliedByRelay, applyByRelay } from '../../relay/begin.ts'
import type { Relay } from '../../relay/relay.ts'
import type { Caller } from '../caller.ts'
import { makeDeployKey, makeRelayFolder, openRelay, type RelayFolder } from './relay-folder.ts'

export type BegunRelay = {
  readonly relay: RelayFolder
  readonly policy: AppliedByRelay & { readonly from: string }
}

/**
 * Makes what is missing, then puts the policy in force with the caller's own access to the host: no rule may keep the
 * caller from writing the ledger yet.
 */
export async function beginRelay(
  caller: Caller,
  options: {
    readonly url: string
    readonly folder: string
    /** A folder with a policy; else the tip of main is read. */
    readonly policy: string | undefined
    readonly ledger: 'branch' | 'ref'
  },
): Promise<BegunRelay> {
  const { url, folder, ledger } = options
  makeRelayFolder(folder, url, ledger)
  if (!/^(?:https?|file):|^\//.test(url)) makeDeployKey(folder)
  const policy = await applyRelayPolicy(caller, { folder, policy: options.policy, asCaller: true })
  return { relay: makeRelayFolder(folder, url, ledger), policy }
}

export async function applyRelayPolicy(
  caller: Caller,
  options: {
    readonly folder: string
    readonly policy: string | undefined
    readonly asCaller: boolean
  },
): Promise<BegunRelay['policy']> {
  const relay = await openRelay(caller, options.folder, { tell: () => {}, asCaller: options.asCaller })
  try {
    const source = await findPolicy(relay, options.policy)
    const by = `admin ${printable(userInfo().username, 100)}`
    return { ...(await applyByRelay(relay, source, { by })), from: source.from }
  } finally {
    relay.cache.close()
  }
}

async function findPolicy({ host, cache }: Relay, folder: string | undefined): Promise<PolicySource> {
  if (folder !== undefined) return readPolicyFolder(folder)
  const branches = await host.list(['refs/heads/*'])
  const [staging] = ['main', 'master', 'trunk'].map(branchRef).filter((ref) => branches.has(ref))
  if (staging !== undefined) {
    await host.fetch([`+${staging}:${staging}`])
    const source = await readPolicyFromTip(cache, staging)
    if (source !== null) return source
  }
  throw new HeadgateError(
    'configuration',
    'there is no .headgate/policy.yaml at the tip of main on the host',
    {
      hint: 'push it there, or name a folder that has one: --policy DIR',
    },
  )
}
