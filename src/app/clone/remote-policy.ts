import { HeadgateError } from '../../core/errors.ts'
import type { Policy } from '../../core/policy/policy.ts'
import type { LedgerState } from '../../core/state.ts'
import { readPolicyOf } from '../../guard/policy-in-force.ts'
import type { ClientRepository } from './client-repository.ts'
import { fetchLedger } from './fetch-copies.ts'
import { shownRemote } from './shown-remote.ts'

/** The policy in force on a guarded remote, and what its ledger says besides. */
export async function remotePolicy(
  repository: ClientRepository,
  remote: string,
): Promise<{ policy: Policy; state: LedgerState }> {
  const { snapshot, close } = await fetchLedger(repository, remote)
  try {
    const inForce = await readPolicyOf(snapshot)
    if (inForce === null) {
      throw new HeadgateError('configuration', `no policy is in force on ${shownRemote(remote)}`, {
        hint: 'the server admin applies one: headgate policy apply REPO.git',
      })
    }
    return { policy: inForce.policy, state: snapshot.state }
  } finally {
    close()
  }
}
