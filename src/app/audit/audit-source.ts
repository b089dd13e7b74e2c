/** Where an audit reads: the ledger of a remote, fetched or as it was fetched last, or the one of this very repository. */

import { isDeepStrictEqual } from 'node:util'
import type { Branches } from '../../audit/verify-ledger.ts'
import { HeadgateError } from '../../core/errors.ts'
import { isZeroOid, type Oid } from '../../core/oid.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import { isShallow } from '../../git/locate.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import { type PolicyInForce, parsePolicyFiles } from '../../guard/policy-in-force.ts'
import { GitLedger } from '../../ledger/git-ledger.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import type { Caller } from '../caller.ts'
import { ClientRepository } from '../clone/client-repository.ts'
import { fetchCopies } from '../clone/fetch-copies.ts'
import { branchCopyRef, copyAt, copyName, ledgerCopyRef } from '../clone/remote-copies.ts'
import { shownRemote } from '../clone/shown-remote.ts'
import { VerifiedCopy } from '../clone/verified-copy.ts'

export type AuditSource = {
  readonly repository: GitRepository
  /** What the ledger's ref names; null where there is none. */
  readonly tip: Oid | null
  /** When the remote was asked for it, ms since the epoch; null where it is what was fetched before. */
  readonly seenAt: number | null
  /** Null where the ledger's own files at the tip cannot be read. */
  readonly snapshot: Snapshot | null
  readonly inForce: PolicyInForce | null
  readonly branches: Branches | null
  readonly copy: VerifiedCopy
  /** Keeps the objects of a ledger that was verified, whatever the remote does later. */
  keep(tip: Oid): Promise<void>
  close(): void
}

export type SourceOptions = {
  readonly remote: string
  readonly offline: boolean
  /** Whether the history of the branches is asked about, so that all of it must be here. */
  readonly history?: boolean
  /** Whether no ledger is an answer, also where none was verified here before. */
  readonly mayBeGone?: boolean
}

export async function openAuditSource(caller: Caller, options: SourceOptions): Promise<AuditSource> {
  const { remote, offline, history } = options
  const askedAt = Date.now()
  const client = new ClientRepository(caller)
  const repository = await client.open()
  const isWithout = history === true && isShallow(repository.commonDirectory)
  if (isWithout && offline) {
    throw new HeadgateError('unavailable', 'this clone is shallow, and moves are judged by the history', {
      hint: `without --offline it is fetched; or by hand: git fetch --unshallow ${shownRemote(remote)}`,
    })
  }
  try {
    const copyRef = ledgerCopyRef(remote)
    let ledger = await readLedger(repository, copyRef)
    if (!offline) {
      const expected = namesOf(ledger)
      const isGuarded = await fetchGuarded(
        client,
        repository,
        options,
        expected,
        isWithout && expected.length > 0,
      )
      ledger = isGuarded ? await readLedger(repository, copyRef, ledger) : null
      const names = namesOf(ledger)
      if (names.some((name) => !expected.includes(name))) {
        await fetchCopies(client, repository, remote, names, { whole: isWithout && expected.length === 0 })
        ledger = await readLedger(repository, copyRef, ledger)
      }
    }
    const own = ledger === null && offline ? await readLedger(repository, LEDGER_REF) : null
    const isOwn = own !== null
    ledger ??= own
    if (ledger === null && offline && !isExpected(repository, options)) {
      throw new HeadgateError(
        'configuration',
        `there is no copy of the ledger of "${shownRemote(remote)}" in this clone`,
        { hint: `fetch one, without --offline: headgate verify --remote ${shownRemote(remote)}` },
      )
    }
    const { tip, snapshot, inForce, former } = ledger ?? {
      ...{ tip: null, snapshot: null, inForce: null, former: [] },
    }
    const branches =
      inForce === null
        ? null
        : await branchesOf(repository, inForce, { remote, isOwn, isFresh: !offline, former })
    const name = isOwn ? 'this-repository' : copyName(remote)
    return {
      repository,
      tip,
      seenAt: offline && !isOwn ? null : askedAt,
      snapshot,
      inForce,
      branches,
      copy: new VerifiedCopy(repository.commonDirectory, name),
      keep: async (oid) => {
        const kept = `refs/headgate-copies/${name}/verified`
        const before = (await copyAt(repository, kept))?.oid ?? null
        if (before !== oid) await repository.moveRef(kept, before, oid)
      },
      close: () => repository.close(),
    }
  } catch (error) {
    repository.close()
    throw error
  }
}

type Ledger = Pick<AuditSource, 'snapshot' | 'inForce'> & {
  readonly tip: Oid
  /** Branches that earlier policies named and the one in force does not, by their full names. */
  readonly former: readonly string[]
}

/** Whether a ledger must be there: one was verified here before, or the caller knows of it from elsewhere. */
function isExpected(repository: GitRepository, { remote, mayBeGone }: SourceOptions): boolean {
  return mayBeGone === true || new VerifiedCopy(repository.commonDirectory, copyName(remote)).read() !== null
}

/** False where the remote has no ledger any more, which is what the audit tells then. */
async function fetchGuarded(
  client: ClientRepository,
  repository: GitRepository,
  options: SourceOptions,
  branches: readonly string[],
  whole: boolean,
): Promise<boolean> {
  try {
    await fetchCopies(client, repository, options.remote, branches, { whole })
    return true
  } catch (error) {
    const isGone = error instanceof HeadgateError && error.code === 'configuration'
    if (!isGone || !isExpected(repository, options)) throw error
    return false
  }
}

/** Null where there is none. `known` is what was read before, of which most is still true. */
async function readLedger(
  repository: GitRepository,
  ref: string,
  known: Ledger | null = null,
): Promise<Ledger | null> {
  const at = ref === LEDGER_REF ? (await repository.refs([ref])).get(ref) : await copyAt(repository, ref)
  if (at === undefined || at.symref !== undefined || isZeroOid(at.oid)) return null
  if (at.oid === known?.tip) return known
  const snapshot = await snapshotOf(repository, ref)
  const inForce = await policyOf(snapshot, known?.inForce ?? null)
  const former = snapshot === null || inForce === null ? [] : await formerNames(snapshot, inForce)
  return { tip: at.oid, snapshot, inForce, former }
}

/** Null where the tip is no ledger's: the audit says what is wrong with it. */
async function snapshotOf(repository: GitRepository, ref: string): Promise<Snapshot | null> {
  try {
    return await new GitLedger(repository, undefined, { ref }).snapshot()
  } catch (error) {
    if (error instanceof HeadgateError && error.code === 'data') return null
    throw error
  }
}

async function policyOf(
  snapshot: Snapshot | null,
  known: PolicyInForce | null,
): Promise<PolicyInForce | null> {
  try {
    const files = (await snapshot?.policyInForce()) ?? null
    if (files === null) return null
    return isDeepStrictEqual(files, known?.files) ? known : parsePolicyFiles(files)
  } catch (error) {
    if (error instanceof HeadgateError && error.code !== 'unavailable') return null
    throw error
  }
}

/** A policy a day for years. Of a branch beyond that the audit says that the remote was not asked for it. */
const MAX_POLICIES = 1000

/** Retired branches are among them: the audit finds out which those are. */
async function formerNames(snapshot: Snapshot, inForce: PolicyInForce): Promise<string[]> {
  const names = new Set(Object.keys(snapshot.state.landed))
  for (const { version } of snapshot.state.policies.slice(0, -1).slice(-MAX_POLICIES)) {
    try {
      const files = await snapshot.policyVersion(version)
      if (files !== null)
        for (const ref of Object.values(refsOf(parsePolicyFiles(files).policy))) names.add(ref)
    } catch (error) {
      // The audit says what is wrong with it.
      if (!(error instanceof HeadgateError) || error.code === 'unavailable') throw error
    }
  }
  for (const ref of Object.values(refsOf(inForce.policy))) names.delete(ref)
  return [...names]
}

function namesOf(ledger: Ledger | null): string[] {
  if (ledger === null || ledger.inForce === null) return []
  return [...Object.values(refsOf(ledger.inForce.policy)), ...ledger.former]
}

async function branchesOf(
  repository: GitRepository,
  inForce: PolicyInForce,
  {
    remote,
    isOwn,
    isFresh,
    former,
  }: { remote: string; isOwn: boolean; isFresh: boolean; former: readonly string[] },
): Promise<Branches> {
  const { staging, release } = refsOf(inForce.policy)
  const names = (ref: string) =>
    isOwn
      ? [ref]
      : isFresh
        ? [branchCopyRef(remote, ref)]
        : [branchCopyRef(remote, ref), ref.replace('refs/heads/', `refs/remotes/${remote}/`)]
  const found = await repository.refs([staging, release, ...former].flatMap(names))
  const oid = (ref: string) =>
    names(ref)
      .map((name) => found.get(name)?.oid)
      .find((known) => known !== undefined && !isZeroOid(known)) ?? null
  return {
    staging: oid(staging),
    release: oid(release),
    isFresh: isFresh || isOwn,
    former: new Map(former.map((ref) => [ref, oid(ref)])),
  }
}
