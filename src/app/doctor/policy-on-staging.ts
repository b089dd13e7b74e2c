import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { GitRepository } from '../../git/repository.ts'
import { type PolicyInForce, parsePolicyFiles } from '../../guard/policy-in-force.ts'
import { type Diagnosis, problem } from './diagnosis.ts'

/** Far above any policy; the server takes none that is larger. */
const MAX_FILE_BYTES = 256 * 1024

/** Whether `.headgate/` on the staging branch is what is in force, and could be. `apply` is the command that applies it. */
export async function checkPolicyOnStaging(
  repository: GitRepository,
  tip: Oid,
  { files, policy }: PolicyInForce,
  apply: string,
): Promise<Diagnosis[]> {
  const read = async (name: string) => {
    const info = await repository.objects().info(`${tip}:.headgate/${name}`)
    if (info?.type !== 'blob' || info.size > MAX_FILE_BYTES) return null
    return (await repository.objects().read(info.oid, MAX_FILE_BYTES))?.body.toString('utf8') ?? null
  }
  const found = { policy: await read('policy.yaml'), allowedSigners: await read('allowed_signers') }
  // A project may keep its policy elsewhere.
  if (found.policy === null && found.allowedSigners === null) return []
  if (found.policy === files.policy && found.allowedSigners === files.allowedSigners) return []
  const text = { policy: found.policy ?? '', allowedSigners: found.allowedSigners ?? '' }
  try {
    parsePolicyFiles({ version: 1, ...text })
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    const first = printable(error.message.split('\n')[0] ?? '', 200)
    return [
      problem(
        'policy-broken',
        `.headgate/ on ${policy.staging} is no valid policy: ${first}`,
        'headgate policy check',
      ),
    ]
  }
  return [
    problem(
      'policy-differs',
      `.headgate/ on ${policy.staging} differs from policy version ${files.version}, which is in force`,
      `${apply}  # the server admin, once it has been reviewed`,
    ),
  ]
}
