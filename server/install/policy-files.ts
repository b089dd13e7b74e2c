/** Where the two files of a policy come from: a folder, `.headgate/` at the tip of a branch, the ledger. */
import { statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { shortRef } from '../../src/core/explain.ts'
import { isZeroOid, type Oid, shortOid } from '../../src/core/oid.ts'
import { type FormerBranch, formerBranches } from '../../src/core/state.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { isTreeFile, readTreeFile } from '../../src/git/tree-file.ts'
import { type PolicyInForce, parsePolicyFiles } from '../../src/guard/policy-in-force.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import type { PolicyFiles, Snapshot } from '../../src/ledger/ledger.ts'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { requireNeverGuarded } from '../guarded-list.ts'

export type PolicySource = { readonly policy: string; readonly allowedSigners: string; readonly from: string }

const MAX_FILE_BYTES = 256 * 1024
const OWN_FOLDER = '.headgate'
const NAMES = { policy: 'policy.yaml', allowedSigners: 'allowed_signers' } as const

/** A folder that a tree holds, by its name there: nothing below it leads elsewhere. */
type Place = { readonly top: string; readonly below: string }

/** Whether this is a folder with a policy, or holds one in its `.headgate`. */
export function hasPolicy(folder: string): boolean {
  return placeOf(folder) !== null
}

/** Reads a folder that holds `policy.yaml` and `allowed_signers`, or a `.headgate` folder that does. */
export function readPolicyFolder(folder: string): PolicySource {
  const place = findPolicyFolder(folder)
  return {
    policy: read(place, NAMES.policy),
    allowedSigners: read(place, NAMES.allowedSigners),
    from: join(place.top, place.below),
  }
}

/** The policy alone of a working tree, for who has nothing to do with keys. */
export function readPolicyText(top: string): string {
  const place = { top, below: OWN_FOLDER }
  return read(
    isTreeFile(top, join(OWN_FOLDER, NAMES.policy)) ? place : findPolicyFolder(join(top, OWN_FOLDER)),
    NAMES.policy,
  )
}

/** The folder that is named may be reached through links: that is its owner's word. */
function placeOf(folder: string): Place | null {
  const places: Place[] =
    basename(folder) === OWN_FOLDER
      ? [{ top: dirname(folder), below: OWN_FOLDER }]
      : [{ top: folder, below: '' }]
  for (const place of [...places, { top: folder, below: OWN_FOLDER }])
    if (isTreeFile(place.top, join(place.below, NAMES.policy))) return place
  return null
}

function findPolicyFolder(folder: string): Place {
  const place = placeOf(folder)
  if (place !== null) return place
  const there = statSync(folder, { throwIfNoEntry: false })
  const problem =
    there === undefined
      ? 'does not exist'
      : there.isDirectory()
        ? 'has neither policy.yaml nor .headgate/policy.yaml'
        : 'is a file'
  throw new HeadgateError('configuration', `${resolve(folder)} ${problem}`, {
    hint: 'name a folder with policy.yaml and allowed_signers; headgate init --policy writes one to begin with',
  })
}

/**
 * Reads `.headgate/` from the tip of a branch: the staging branch of the policy in force where there is one, else `main`,
 * else what HEAD names. Null if there is no such branch or it has no policy.
 */
export async function readPolicyFromTip(
  repository: GitRepository,
  staging: string | null,
): Promise<PolicySource | null> {
  const tip = await findTip(repository, staging)
  if (tip === null) return null
  const [policy, allowedSigners] = await Promise.all([
    readBlob(repository, tip, NAMES.policy),
    readBlob(repository, tip, NAMES.allowedSigners),
  ])
  if (policy === null && allowedSigners === null) return null
  const from = `.headgate/ at the tip of ${shortRef(tip.ref)} (${shortOid(tip.oid)})`
  if (policy === null || allowedSigners === null) {
    const missing = policy === null ? NAMES.policy : NAMES.allowedSigners
    throw new HeadgateError('configuration', `${missing} is missing in ${from}`, {
      hint: 'both files belong together: policy.yaml and allowed_signers',
    })
  }
  return { policy, allowedSigners, from }
}

/** Parses both files. Throws HeadgateError 'configuration' that lists everything that is wrong with either. */
export function parsePolicySource({ policy, allowedSigners }: PolicySource): PolicyInForce {
  const files = { version: 1, policy, allowedSigners }
  try {
    return parsePolicyFiles(files)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    const lines = parseAllowedSigners(allowedSigners).problems.map(
      ({ line, message }) => `allowed_signers:${line}: ${message}`,
    )
    if (lines.length === 0 || error.message.startsWith('allowed_signers:')) throw error
    throw new HeadgateError(error.code, [error.message, ...lines].join('\n'), {
      hint: `${error.hint}; the format of allowed_signers is in ssh-keygen(1)`,
      cause: error,
    })
  }
}

/**
 * The policy that the ledger has in force, read without the seal key; null if there never was one. Throws HeadgateError
 * 'data' if the ledger is gone.
 */
export async function readPolicyInForce(repository: GitRepository): Promise<PolicyFiles | null> {
  const files = await (await readLedger(repository)).policyInForce()
  if (files === null) requireNeverGuarded(repository.commonDirectory)
  return files
}

/** The branches of earlier policies that are still guarded, read in the same way. */
export async function readFormerBranches(repository: GitRepository): Promise<readonly FormerBranch[]> {
  return formerBranches((await readLedger(repository)).state)
}

function readLedger(repository: GitRepository): Promise<Snapshot> {
  const ledger = new GitLedger(repository, () => {
    throw new HeadgateError('configuration', 'this ledger was opened for reading')
  })
  return ledger.snapshot()
}

type Tip = { readonly ref: string; readonly oid: Oid }

async function findTip(repository: GitRepository, staging: string | null): Promise<Tip | null> {
  const head = await repository.run(['symbolic-ref', '--quiet', 'HEAD'], { allowExit: [1, 128] })
  const names = staging === null ? ['refs/heads/main', head.stdout.toString('utf8').trimEnd()] : [staging]
  const found = await repository.refs(names)
  for (const ref of names) {
    const oid = found.get(ref)?.oid
    if (oid !== undefined && !isZeroOid(oid)) return { ref, oid }
  }
  return null
}

async function readBlob(repository: GitRepository, { ref, oid }: Tip, name: string): Promise<string | null> {
  const path = `.headgate/${name}`
  const info = await repository.objects().info(`${oid}:${path}`)
  if (info?.type !== 'blob') return null
  if (info.size > MAX_FILE_BYTES) throw tooLarge(`${path} at the tip of ${shortRef(ref)}`)
  const object = await repository.objects().read(info.oid, MAX_FILE_BYTES)
  return object === null ? null : decode(object.body, path)
}

function read({ top, below }: Place, name: string): string {
  const path = join(top, below, name)
  let reason: string
  let hint = 'a policy is a folder with policy.yaml and allowed_signers; see docs/policy-reference.md'
  let cause: unknown
  try {
    const bytes = readTreeFile(top, join(below, name), MAX_FILE_BYTES)
    if (bytes !== null) return decode(bytes, path)
    reason = 'does not exist'
  } catch (error) {
    if (error instanceof HeadgateError) throw error
    cause = error
    const { code } = error as NodeJS.ErrnoException
    reason = `cannot be read (${code})`
    if (code === 'EACCES') hint = 'give this account the right to read it, or run it as another'
  }
  throw new HeadgateError('configuration', `${path} ${reason}`, { hint, cause })
}

function decode(bytes: Uint8Array, name: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
  }
  throw new HeadgateError('configuration', `${name} is not UTF-8 text`, {
    hint: 'save it in the encoding UTF-8',
  })
}

function tooLarge(name: string): HeadgateError {
  return new HeadgateError('configuration', `${name} is larger than ${MAX_FILE_BYTES / 1024} KiB`, {
    hint: 'is it the right file?',
  })
}
