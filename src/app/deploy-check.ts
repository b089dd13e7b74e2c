/** May this commit be deployed there? Asked by deploy pipelines, which go by the exit code. */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { sealFindings } from '../audit/sealed-release.ts'
import { parseTrustAnchors, type TrustAnchors } from '../audit/trust-anchors.ts'
import { HeadgateError } from '../core/errors.ts'
import { isOid, type Oid, shortOid } from '../core/oid.ts'
import { jsonText, printable, shellWord } from '../core/printable.ts'
import type { GitRepository } from '../git/repository.ts'
import { refsOf } from '../guard/foresee.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import { type LandedMove, landedMoves } from '../guard/landed-moves.ts'
import { recordedSmoke } from '../guard/release-entry.ts'
import type { Caller } from './caller.ts'
import { namedHosts } from './clone/allowed.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { lookAtGuarded, requireHistory } from './clone/guarded-remote.ts'
import { lookAtServed } from './served-commits.ts'

export type DeployCheckOptions = {
  readonly commit: string
  readonly environment: 'staging' | 'production'
  readonly remote: string
  /** Whether the server's verification summary is wanted. */
  readonly attested: boolean
  /** A file with the server's public seal key, known from elsewhere; a trust file as `verify` takes it. */
  readonly sealKey: string | undefined
  /** Whether the environment is asked, too, what it serves. */
  readonly served: boolean
}

type Landed = {
  /** What speaks against it; it may be deployed if there is nothing. */
  readonly findings: readonly string[]
  readonly remarks: readonly string[]
  /** The move of the release branch that put the commit there; null on staging, and where none did. */
  readonly move: LandedMove | null
}

/** What came of the seal: null where there is no move to be sealed. */
type SealCheck = 'ok' | 'violation' | 'unchecked' | null

export type DeployCheck = Landed & {
  readonly commit: Oid
  readonly environment: 'staging' | 'production'
  /** The name of the staging branch. */
  readonly staging: string
  readonly seal: SealCheck
  /** The last record of the ledger that was looked at. */
  readonly record: number
  /** The DSSE envelope as the server signed it; null where it was not wanted, or something speaks against the commit. */
  readonly attestation: string | null
  /** When it was looked, in milliseconds since the epoch. */
  readonly now: number
}

/**
 * What speaks against a deployment is a finding of the result. Throws HeadgateError 'refused' where there is nothing
 * against it and no attestation either, 'unavailable' where the remote or the environment cannot be asked.
 */
export async function deployCheck(caller: Caller, options: DeployCheckOptions): Promise<DeployCheck> {
  const { environment, attested } = options
  if (environment === 'staging' && (attested || options.sealKey !== undefined)) {
    throw new HeadgateError('usage', 'there is no attestation of what is on staging', {
      hint: '--attestation and --seal-key go with --environment production',
    })
  }
  const anchors = options.sealKey === undefined ? null : readAnchors(caller, options.sealKey)
  const client = new ClientRepository(caller)
  const repository = await client.open()
  try {
    const view = await lookAtGuarded(client, repository, options.remote)
    // A pipeline may ask about a commit that its clone does not have even now: then it is not the release.
    const commit = isOid(options.commit) ? options.commit : await client.resolveCommit(options.commit)
    const landed =
      environment === 'production'
        ? await isRelease(view, commit)
        : await isOnStaging(repository, options.remote, view, commit)
    const unsealed =
      anchors === null || landed.move === null ? [] : await sealedBehind(view, landed.move, anchors)
    const seal = landed.move === null ? null : sealOf(anchors, unsealed)
    const findings = [
      ...landed.findings,
      ...unsealed,
      ...(options.served ? await servedFindings(client, view, environment, commit) : []),
    ]
    const isUnchecked = attested && seal === 'unchecked' && findings.length === 0
    return {
      commit,
      environment,
      staging: view.inForce.policy.staging,
      findings,
      remarks: isUnchecked ? [...landed.remarks, UNSEALED] : landed.remarks,
      move: landed.move,
      seal,
      record: view.snapshot.head.seq,
      attestation: attested && findings.length === 0 ? attestationOf(landed.move) : null,
      now: Date.now(),
    }
  } finally {
    repository.close()
  }
}

const UNSEALED =
  "the attestation's seal was not checked: name the server's seal-key.pub with --seal-key, or whoever gates on it does"

function sealOf(anchors: TrustAnchors | null, findings: readonly string[]): SealCheck {
  if (anchors === null) return 'unchecked'
  return findings.length === 0 ? 'ok' : 'violation'
}

/** Production: exactly the commit that the release branch was moved to, by a move that landed. */
async function isRelease(view: RemoteView, commit: Oid): Promise<Landed> {
  const { policy } = view.inForce
  const { release: ref } = refsOf(policy)
  const release = view.refs.get(ref) ?? null
  const [findings, remarks]: [string[], string[]] = [[], []]
  const moves = landedMoves(view.snapshot, ref, release)
  const last = (await moves.next()).value ?? null
  if (release === null) findings.push(`there is no ${policy.release} yet`)
  else if (release !== commit)
    findings.push(`${shortOid(commit)} is not the release: ${policy.release} is at ${shortOid(release)}`)
  if (last === null) findings.push(`no move of ${policy.release} ever landed`)
  else if (last.to !== release) {
    findings.push(
      `${policy.release} has drifted: its last landed move (record ${last.seq}) put it at ${shortOid(last.to)}, and someone moved it behind the guard`,
    )
  }
  const pending = view.snapshot.state.open.find((move) => move.ref === ref && move.to === commit)
  if (release !== commit && pending !== undefined)
    findings.push(`its move is authorized (record ${pending.seq}) and has not landed`)
  if (last?.to === commit) {
    const { kind, authorized } = last
    const waived = authorized?.objections.filter((objection) => objection.waived) ?? []
    const ignored = authorized?.objections.filter((objection) => !objection.waived) ?? []
    const rules = (objections: typeof waived) => [...new Set(objections.map(({ rule }) => rule))].join(', ')
    if (waived.length > 0) remarks.push(`an override waived ${rules(waived)}`)
    if (ignored.length > 0) remarks.push(`headgate only evaluated; these rules objected: ${rules(ignored)}`)
    if (kind === 'bootstrap') remarks.push('it is the baseline: the release when headgate was installed')
    if (kind === 'drift') remarks.push('nobody promoted it: an operator accepted that it was there')
    const smoke = await recordedSmoke(view, last)
    if (smoke?.result === 'FAILED') {
      remarks.push(
        `it failed its production smoke at ${smoke.finishedAt} (record ${smoke.record}); the way back is headgate rollback`,
      )
    }
  }
  return { findings, remarks, move: last !== null && last.to === commit ? last : null }
}

async function isOnStaging(
  repository: GitRepository,
  remote: string,
  view: RemoteView,
  commit: Oid,
): Promise<Landed> {
  const { policy } = view.inForce
  const staging = view.refs.get(refsOf(policy).staging)
  const none = { remarks: [], move: null }
  if (staging === undefined) return { ...none, findings: [`there is no ${policy.staging} yet`] }
  if (commit !== staging) requireHistory(repository, remote)
  const known = commit === staging || (await repository.objects().info(commit))?.type === 'commit'
  const on = commit === staging || (known && (await repository.isAncestor(commit, staging)))
  return { ...none, findings: on ? [] : [`${shortOid(commit)} is not on ${policy.staging}`] }
}

function sealedBehind(view: RemoteView, move: LandedMove, anchors: TrustAnchors): Promise<string[]> {
  const { seq, ref, to: commit } = move
  return sealFindings(view.snapshot, { seq, ref, commit, inForce: view.inForce }, anchors)
}

async function servedFindings(
  client: ClientRepository,
  view: RemoteView,
  name: 'staging' | 'production',
  commit: Oid,
): Promise<string[]> {
  const environment = view.inForce.policy.environments[name]
  if (environment === undefined) {
    throw new HeadgateError('configuration', `the policy has no environments.${name}`, {
      hint: 'leave --served out, or describe the environment in the policy',
    })
  }
  const serving = await lookAtServed(environment, await namedHosts(client))
  if (serving.kind === 'serves')
    return serving.commit === commit ? [] : [`${name} serves ${serving.commit}, not ${commit}`]
  if (serving.hint !== undefined)
    throw new HeadgateError('configuration', `${name}: ${serving.reason}`, { hint: serving.hint })
  throw new HeadgateError(
    'unavailable',
    `${name} does not tell what it serves: ${printable(serving.reason, 300)}`,
    {
      hint: 'try again once it is up',
    },
  )
}

/** What is known of the server from elsewhere: its seal key, and records that the ledger must hold. */
function readAnchors({ folder }: Caller, file: string): TrustAnchors {
  let text: string
  try {
    text = readFileSync(resolve(folder, file), 'utf8')
  } catch (cause) {
    throw new HeadgateError('configuration', `${shellWord(file)} cannot be read`, {
      hint: 'name a copy of headgate/seal-key.pub from the server',
      cause,
    })
  }
  const anchors = parseTrustAnchors(text)
  if (anchors.sealKeys.length > 0) return anchors
  throw new HeadgateError('configuration', `${shellWord(file)} has no public key`, {
    hint: 'put a copy of headgate/seal-key.pub from the server into it',
  })
}

function attestationOf(move: LandedMove | null): string {
  if (move?.record.statement.kind === 'authorization') return `${jsonText(move.record.envelope)}\n`
  throw new HeadgateError('refused', 'there is no attestation: no authorization stands behind the release', {
    hint: 'a drift was accepted; promote a commit again to have one',
  })
}
