/** Whether every account that works in a guarded repository can read and write what it must, the one that looks included. */
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { accountName, actsFor, asAccount, groupName, ownName } from '../../../server/install/accounts.ts'
import { findMisfits, type Misfit } from '../../../server/install/misfits.ts'
import { SERVER_DIRECTORY } from '../../../server/settings.ts'
import { HeadgateError } from '../../core/errors.ts'
import { printable, shellWord } from '../../core/printable.ts'
import type { GitRepository } from '../../git/repository.ts'
import { readSharing, type Sharing } from '../../git/sharing.ts'
import { type Diagnosis, problem } from './diagnosis.ts'

export async function checkAccess(repository: GitRepository): Promise<Diagnosis[]> {
  const directory = repository.commonDirectory
  let sharing: Sharing
  try {
    sharing = await readSharing(repository)
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return [problem('setting', error.message, error.hint ?? '')]
  }
  const groups = new Map<string, Misfit[]>()
  for (const misfit of findMisfits(directory, sharing)) {
    const key = `${misfit.kind} ${misfit.uid}`
    groups.set(key, [...(groups.get(key) ?? []), misfit])
  }
  return [...outsider(directory, sharing), ...[...groups.values()].map((group) => explain(directory, group))]
}

/** What is wrong in the same way with files and folders of one account. */
function explain(directory: string, group: readonly Misfit[]): Diagnosis {
  const [{ kind, path, uid, mode, wanted }] = group as readonly [Misfit, ...Misfit[]]
  const root = statSync(directory)
  const owner = accountName(uid)
  const rest = group.length === 1 ? '' : ` and ${group.length - 1} more`
  const shown = `${printable(path, 500)}${rest}`
  switch (kind) {
    case 'mode': {
      const what = `${shown} of ${owner}: mode ${octal(mode)}, and core.sharedRepository asks for ${octal(wanted)}: other accounts are locked out`
      const chmod = `chmod ${octal(wanted)} ${shellWord(path)}`
      const fix = asAccount(uid, rest === '' ? chmod : `headgate doctor ${shellWord(directory)} --fix`)
      const modes = group.map((misfit) => ({ path: misfit.path, mode: misfit.wanted }))
      return problem('access', what, fix, actsFor(uid) ? { kind: 'chmod', modes } : undefined)
    }
    case 'group': {
      const name = groupName(root.gid)
      const what = `${shown} of ${owner}: not of the repository's group ${name}, which cannot use it`
      const word = shellWord(directory)
      return problem('access', what, `find ${word} ! -group ${name} -exec chgrp -h ${name} {} +  # as root`)
    }
    case 'owner': {
      const name = accountName(root.uid)
      const what = `${shown} of ${owner}: the repository belongs to ${name}, who cannot use it`
      return problem('access', what, `chown -R -h ${name} ${shellWord(directory)}  # as root`)
    }
  }
}

/** The account that looks, where it is none that pushes may run as. */
function outsider(directory: string, sharing: Sharing): Diagnosis[] {
  const root = statSync(directory)
  if (
    actsFor(root.uid) ||
    ['.', SERVER_DIRECTORY, 'objects', 'refs'].every((name) => isWritable(join(directory, name)))
  )
    return []
  const me = ownName()
  const [owner, group] = [accountName(root.uid), groupName(root.gid)]
  const isShared = sharing !== null && (sharing.mode & 0o020) !== 0
  const what = isShared
    ? `this account, ${me}, cannot write in ${printable(directory, 500)}, which is for ${owner} and the group ${group}`
    : `this account, ${me}, cannot write in ${printable(directory, 500)}, which belongs to ${owner}: pushes must run as ${owner}`
  const fix = isShared
    ? `usermod -aG ${group} ${me}  # as root, if it is to push here; then log in again`
    : `sudo -u ${owner} headgate doctor ${shellWord(directory)}`
  return [problem('account', what, fix)]
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

function octal(mode: number): string {
  return mode.toString(8)
}
