/**
 * Copies of a remote's ledger and branches in this clone. They live outside refs/headgate/, which a `git push --mirror` of
 * this clone must not offer to a server.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import { shellWord } from '../../core/printable.ts'
import type { GitRepository, Ref } from '../../git/repository.ts'

export function ledgerCopyRef(remote: string): string {
  return `${copyFolder(remote)}/ledger`
}

export function branchCopyRef(remote: string, ref: string): string {
  return `${copyFolder(remote)}/${ref.replace(/^refs\//, '')}`
}

/** The remote's name as it can stand in a ref and in a file's name: one that is given as URL or path is hashed. */
export function copyName(remote: string): string {
  const plain = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(remote) && !/\.lock$|\.$|\.\./.test(remote)
  return plain ? remote : createHash('sha256').update(remote).digest('hex').slice(0, 16)
}

/**
 * A copy, if it is there. git does not flush refs unless told, so that a power failure leaves an empty file, which git
 * neither reads nor replaces: then HeadgateError 'data' with the way out.
 */
export async function copyAt(repository: GitRepository, ref: string): Promise<Ref | undefined> {
  try {
    return (await repository.refs([ref])).get(ref)
  } catch (cause) {
    if (!(cause instanceof HeadgateError) || cause.code !== 'data') throw cause
    throw new HeadgateError('data', `${ref}, a copy of what the remote has, is damaged in this clone`, {
      hint: `remove it and run this again, which fetches it anew: rm ${shellWord(join(repository.commonDirectory, ref))}`,
      cause,
    })
  }
}

/** The names of the refs whose objects this clone lacks. */
export async function lacking(repository: GitRepository, refs: ReadonlyMap<string, Oid>): Promise<string[]> {
  const names: string[] = []
  for (const [name, oid] of refs) if ((await repository.objects().info(oid)) === null) names.push(name)
  return names
}

function copyFolder(remote: string): string {
  return `refs/headgate-copies/${copyName(remote)}`
}
