/** May this commit be deployed there? Asked by deploy pipelines, which go by the exit code. */

import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { namedHosts } from '../app/clone/allowed.ts'
import { ClientRepository } from '../app/clone/client-repository.ts'
import { lookAtGuarded, requireHistory } from '../app/clone/guarded-remote.ts'
import { lookAtServed } from '../app/served-commits.ts'
import { sealFindings } from '../audit/sealed-release.ts'
import { parseTrustAnchors, type TrustAnchors } from '../audit/trust-anchors.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { isOid, type Oid, shortOid } from '../core/oid.ts'
import { jsonText, printable, shellWord } from '../core/printable.ts'
import { jsonWithoutSecrets } from '../core/without-secrets.ts'
import type { GitRepository } from '../git/repository.ts'
import { isBelow, writeTreeFile } from '../git/tree-file.ts'
import { refsOf } from '../guard/foresee.ts'
import { age } from '../guard/gather-status.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import { type LandedMove, landedMoves } from '../guard/landed-moves.ts'
import { recordedSmoke } from '../guard/release-entry.ts'
import { colour, note, print } from './output.ts'
import { thisCaller } from './this-caller.ts'

export type DeployCheckOptions = {
  readonly commit: string
  readonly environment: 'staging' | 'production'
  readonly remote: string
  /** Where the server's verification summary goes; `-` is standard output. */
  readonly attestation: string | undefined
  /** A file with the server's public seal key, known from elsewhere; a trust file as `verify` takes it. */
  readonly sealKey: string | undefined
  readonly served: boolean
  readonly json: boolean
}

type Answer = {
  /** What speaks against it; it may be deployed if there is nothing. */
  readonly findings: readonly string[]
  readonly remarks: readonly string[]
  readonly move: LandedMove | null
}

/** What came of the seal: null where there is no move to be sealed. */
type SealCheck = 'ok' | 'violation' | 'unchecked' | null

export async function deployCheck(options: DeployCheckOptions): Promise<void> {
  const { environment, attestation } = options
  if (environment === 'staging' && (attestation !== undefined || options.sealKey !== undefined)) {
    throw new HeadgateError('usage', 'there is no attestation of what is on staging', {
      hint: '--attestation and --seal-key go with --environment production',
    })
  }
  const anchors = options.sealKey === undefined ? null : readAnchors(options.sealKey)
  const client = new ClientRepository(thisCaller())
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
    const isUnchecked = attestation !== undefined && seal === 'unchecked' && findings.length === 0
    const remarks = isUnchecked ? [...landed.remarks, UNSEALED] : landed.remarks
    const answer = { ...landed, findings, remarks, seal }
    if (findings.length > 0) process.exitCode = EXIT_CODES.refused
    else if (attestation !== undefined) writeAttestation(answer.move, attestation, await client.topLevel())
    report(options, commit, view, answer)
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
async function isRelease(view: RemoteView, commit: Oid): Promise<Answer> {
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
): Promise<Answer> {
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
function readAnchors(file: string): TrustAnchors {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
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

function writeAttestation(move: LandedMove | null, file: string, top: string | null): void {
  if (move === null || move.record.statement.kind !== 'authorization') {
    throw new HeadgateError(
      'refused',
      'there is no attestation: no authorization stands behind the release',
      {
        hint: 'a drift was accepted; promote a commit again to have one',
      },
    )
  }
  const text = `${jsonText(move.record.envelope)}\n`
  if (file === '-') process.stdout.write(text)
  else if (top !== null && isBelow(top, file)) writeTreeFile(top, resolve(file), text)
  else writeFileSync(file, text)
}

function report(
  { environment, attestation, json }: DeployCheckOptions,
  commit: Oid,
  { inForce, snapshot }: RemoteView,
  { findings, remarks, move, seal }: Answer & { readonly seal: SealCheck },
): void {
  const yes = findings.length === 0
  // Standard output is the attestation's where that was asked for; why there is none must be said all the same.
  const say = attestation === '-' ? note : print
  if (json) {
    const { seq, kind, by, landedAt } = move ?? {}
    const landed = move === null ? null : { record: seq, kind, by, landedAt }
    const { seq: record } = snapshot.head
    say(jsonWithoutSecrets({ commit, environment, deploy: yes, findings, remarks, seal, landed, record }))
    return
  }
  const { policy } = inForce
  for (const finding of findings) say(`${colour('red', 'no')}: ${printable(finding, 400)}`)
  if (yes) {
    const since = age(Date.parse(move?.landedAt ?? move?.authorizedAt ?? ''), Date.now())
    say(
      move === null
        ? `${colour('green', 'yes')}: ${shortOid(commit)} is on ${policy.staging}`
        : `${colour('green', 'yes')}: ${shortOid(commit)} is the release: ${move.kind} by ${printable(move.by, 60)} ${since} ago (record ${move.seq})`,
    )
    if (attestation !== undefined && attestation !== '-')
      note(`the attestation is in ${shellWord(attestation)}`)
  }
  for (const remark of remarks) note(`remark: ${printable(remark, 300)}`)
}
