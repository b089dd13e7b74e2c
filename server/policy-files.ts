/** Where the two files of a policy come from: a folder, or `.headgate/` at the tip of the staging branch. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import type { GitRepository } from '../src/git/repository.ts'

export type PolicySource = { readonly policy: string; readonly allowedSigners: string; readonly from: string }

const MAX_FILE_BYTES = 256 * 1024
const NAMES = { policy: 'policy.yaml', allowedSigners: 'allowed_signers' } as const

/** Reads a folder that holds `policy.yaml` and `allowed_signers`, or a `.headgate` folder that does. */
export function readPolicyFolder(folder: string): PolicySource {
  const inner = join(folder, '.headgate')
  const place =
    !existsSync(join(folder, NAMES.policy)) && existsSync(join(inner, NAMES.policy)) ? inner : folder
  return {
    policy: read(join(place, NAMES.policy)),
    allowedSigners: read(join(place, NAMES.allowedSigners)),
    from: place,
  }
}

/** Reads `.headgate/` from the tip of `main`, or of the branch that HEAD names; null if there is none. */
export async function readPolicyFromTip(repository: GitRepository): Promise<PolicySource | null> {
  for (const ref of ['refs/heads/main', 'HEAD']) {
    const [policy, allowedSigners] = await Promise.all([
      repository.objects().read(`${ref}:.headgate/${NAMES.policy}`, MAX_FILE_BYTES),
      repository.objects().read(`${ref}:.headgate/${NAMES.allowedSigners}`, MAX_FILE_BYTES),
    ])
    if (policy === null && allowedSigners === null) continue
    if (policy === null || allowedSigners === null) {
      const missing = policy === null ? NAMES.policy : NAMES.allowedSigners
      throw new HeadgateError('configuration', `.headgate/${missing} is missing at the tip of ${ref}`, {
        hint: 'both files belong together: policy.yaml and allowed_signers',
      })
    }
    return {
      policy: decode(policy.body, NAMES.policy),
      allowedSigners: decode(allowedSigners.body, NAMES.allowedSigners),
      from: `${ref}:.headgate`,
    }
  }
  return null
}

function read(path: string): string {
  try {
    if (statSync(path).size > MAX_FILE_BYTES) {
      throw new HeadgateError('configuration', `${path} is larger than ${MAX_FILE_BYTES / 1024} KiB`)
    }
    return decode(readFileSync(path), path)
  } catch (cause) {
    if (cause instanceof HeadgateError) throw cause
    const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
    throw new HeadgateError('configuration', `${path} ${reason}`, {
      hint: 'a policy is a folder with policy.yaml and allowed_signers; see docs/policy-reference.md',
      cause,
    })
  }
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new HeadgateError('configuration', `${name} is not UTF-8 text`, { cause })
  }
}
