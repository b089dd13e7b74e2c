/** Brings the copies of a guarded remote's ledger and branches up to date. */

import { HeadgateError } from '../../core/errors.ts'
import type { Oid } from '../../core/oid.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import { conflictingRef } from '../../git/name-conflict.ts'
import type { GitRepository } from '../../git/repository.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import type { ClientRepository } from './client-repository.ts'
import { branchCopyRef, copyAt, lacking, ledgerCopyRef } from './remote-copies.ts'
import { shownRemote } from './shown-remote.ts'

/** A remote that is never the same twice is busy; what was seen last is not wrong. */
const ATTEMPTS = 5

export type RemoteLedger = { readonly snapshot: Snapshot; readonly close: () => void }

/**
 * Fetches what is new of a guarded remote's ledger, its tip where that is enough, and opens it for reading. Errors: see
 * `fetchCopies`.
 */
export async function fetchLedger(client: ClientRepository, remote: string): Promise<RemoteLedger> {
  try {
    // One connection, where asking first would be two. The server has something new for most who ask.
    await client.fetchRefs(remote, [LEDGER_REF])
  } catch (error) {
    const { cause } = error as Error
    if (!(cause instanceof Error) || !/couldn't find remote ref/.test(cause.message)) throw error
    // The listing of the refs tells why that is.
    await guardedRefs(client, remote, [])
    throw error
  }
  const repository = await client.open()
  const close = () => repository.close()
  try {
    const copy = await client.ledgerCopy(repository, remote)
    if (copy === null) throw new HeadgateError('unavailable', 'the ledger was fetched, and is not here')
    return { snapshot: copy.snapshot, close }
  } catch (error) {
    close()
    throw error
  }
}

/**
 * Copies the ledger of a guarded remote and branches of it, by their full names, as they are at one moment; where a
 * branch does not exist, its copy is removed. `whole` brings the history that a shallow clone lacks. Throws HeadgateError
 * 'configuration' if the remote has no headgate, 'unavailable' if it cannot be reached.
 */
export async function fetchCopies(
  client: ClientRepository,
  repository: GitRepository,
  remote: string,
  branches: readonly string[],
  { whole }: { whole: boolean } = { whole: false },
): Promise<void> {
  let isWithout = whole
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const there = await guardedRefs(client, remote, branches)
    for (const ref of there.keys()) await makeRoom(client, repository, copyRef(remote, ref))
    const missing = isWithout ? [...there.keys()] : await lacking(repository, there)
    if (missing.length > 0) {
      const named = missing.map(
        async (ref) => `+${await client.nameThere(remote, ref)}:${copyRef(remote, ref)}`,
      )
      const refspecs = await Promise.all(named)
      await client.fetch(remote, refspecs, isWithout ? ['--unshallow'] : [])
    }
    isWithout = false
    let isOfOneMoment = true
    for (const [ref, oid] of there) {
      const copy = copyRef(remote, ref)
      const here = (await copyAt(repository, copy))?.oid ?? null
      if (here === oid) continue
      // What was fetched and is another than what was listed, moved in between.
      if (missing.includes(ref) || !(await repository.moveRef(copy, here, oid))) isOfOneMoment = false
    }
    for (const ref of branches) {
      const copy = branchCopyRef(remote, ref)
      if (!there.has(ref) && (await copyAt(repository, copy)) !== undefined)
        await client.git('update-ref', '-d', copy)
    }
    if (isOfOneMoment) return
  }
}

/** A branch may be where an earlier one had a folder of its name, or the other way round: that one's copy is in the way. */
async function makeRoom(client: ClientRepository, repository: GitRepository, copy: string): Promise<void> {
  if ((await copyAt(repository, copy)) !== undefined) return
  for (;;) {
    const other = await conflictingRef(repository, copy)
    if (other === null) return
    await client.git('update-ref', '-d', other)
  }
}

/** The ledger and those of the named branches that the remote has. */
async function guardedRefs(
  client: ClientRepository,
  remote: string,
  branches: readonly string[],
): Promise<Map<string, Oid>> {
  const there = await client.remoteRefs(remote, [LEDGER_REF, ...branches])
  if (there.has(LEDGER_REF)) return there
  throw new HeadgateError(
    'configuration',
    `the remote "${shownRemote(remote)}" is not guarded by headgate: it has no ${LEDGER_REF}`,
    {
      hint: 'name another with --remote, or ask the server admin: headgate server install, then headgate policy apply',
    },
  )
}

function copyRef(remote: string, ref: string): string {
  return ref === LEDGER_REF ? ledgerCopyRef(remote) : branchCopyRef(remote, ref)
}
