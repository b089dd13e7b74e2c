/** Where an audit reads: the ledger of a remote, fetched or as it was fetched last, or the one of this very repository. */
import { type PolicyInForce, parsePolicyFiles } from '../audit/policy-in-force.ts'
import type { Branches } from '../audit/verify-ledger.ts'
import { HeadgateError } from '../core/errors.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { findGit } from '../git/find-git.ts'
import { type GitRepository, openRepository } from '../git/repository.ts'
import { GitLedger, LEDGER_REF } from '../ledger/git-ledger.ts'
import type { Snapshot } from '../ledger/ledger.ts'
import { ClientRepository } from './client-repository.ts'
import { branchCopyRef, copyAt, copyName, ledgerCopyRef } from './remote-copies.ts'
import { VerifiedCopy } from './verified-copy.ts'

export type AuditSource = {
  readonly repository: GitRepository
  readonly tip: Oid
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
}

export async function openAuditSource({ remote, offline, history }: SourceOptions): Promise<AuditSource> {
  const client = new ClientRepository()
  const ref = offline ? null : await client.fetchLedgerCopy(remote)
  const whole = history === true && (await client.isShallow())
  if (whole && offline) {
    throw new HeadgateError('unavailable', 'this clone is shallow, and moves are judged by the history', {
      hint: `without --offline it is fetched; or by hand: git fetch --unshallow ${printable(remote, 200)}`,
    })
  }
  const repository = await openRepository(await client.gitDirectory(), { gitPath: findGit() })
  try {
    const copyRef = ledgerCopyRef(remote)
    const copy = await copyAt(repository, copyRef)
    const own =
      offline && copy === undefined ? (await repository.refs([LEDGER_REF])).get(LEDGER_REF) : undefined
    const isOwn = own !== undefined
    const ledgerRef = isOwn ? LEDGER_REF : copyRef
    const tip = own ?? copy
    if (tip === undefined || tip.symref !== undefined || isZeroOid(tip.oid)) {
      throw new HeadgateError(
        'configuration',
        `there is no copy of the ledger of "${printable(remote, 200)}" in this clone`,
        { hint: `fetch one, without --offline: headgate verify --remote ${printable(remote, 200)}` },
      )
    }
    const snapshot = await snapshotOf(repository, ledgerRef)
    const inForce = await policyOf(snapshot)
    if (ref !== null && inForce !== null) await client.fetchBranches(remote, namesOf(inForce), { whole })
    const branches =
      inForce === null
        ? null
        : await branchesOf(repository, inForce, { remote, isOwn, isFresh: ref !== null })
    const name = isOwn ? 'this-repository' : copyName(remote)
    return {
      repository,
      tip: tip.oid,
      snapshot,
      inForce,
      branches,
      copy: new VerifiedCopy(repository.commonDirectory, name),
      keep: async (oid) => {
        await client.git('update-ref', `refs/headgate-copies/${name}/verified`, oid)
      },
      close: () => repository.close(),
    }
  } catch (error) {
    repository.close()
    throw error
  }
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

async function policyOf(snapshot: Snapshot | null): Promise<PolicyInForce | null> {
  try {
    const files = (await snapshot?.policyInForce()) ?? null
    return files === null ? null : parsePolicyFiles(files)
  } catch (error) {
    if (error instanceof HeadgateError && error.code !== 'unavailable') return null
    throw error
  }
}

function namesOf({ policy }: PolicyInForce): [staging: string, release: string] {
  return [`refs/heads/${policy.staging}`, `refs/heads/${policy.release}`]
}

async function branchesOf(
  repository: GitRepository,
  inForce: PolicyInForce,
  { remote, isOwn, isFresh }: { remote: string; isOwn: boolean; isFresh: boolean },
): Promise<Branches> {
  const [staging, release] = namesOf(inForce)
  const names = (ref: string) =>
    isOwn
      ? [ref]
      : isFresh
        ? [branchCopyRef(remote, ref)]
        : [branchCopyRef(remote, ref), ref.replace('refs/heads/', `refs/remotes/${remote}/`)]
  const found = await repository.refs([...names(staging), ...names(release)])
  const oid = (ref: string) =>
    names(ref)
      .map((name) => found.get(name)?.oid)
      .find((known) => known !== undefined && !isZeroOid(known)) ?? null
  return { staging: oid(staging), release: oid(release), isFresh: isFresh || isOwn }
}
