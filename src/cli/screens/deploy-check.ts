/** Whether a commit may be deployed, and why not. */

import type { DeployCheck } from '../../app/deploy-check.ts'
import { shortOid } from '../../core/oid.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { jsonWithoutSecrets } from '../../core/without-secrets.ts'
import { age } from '../../guard/gather-status.ts'
import { writeNamedFile } from '../named-file.ts'
import { colour, note, print } from '../output.ts'

type Asked = {
  readonly json: boolean
  /** The file that has the attestation; `-` is standard output. */
  readonly attestation: string | undefined
}

export function showDeployCheck(found: DeployCheck, { json, attestation }: Asked): void {
  // Standard output is the attestation's where that was asked for; why there is none must be said all the same.
  const say = attestation === '-' ? note : print
  if (json) {
    say(jsonWithoutSecrets(deployCheckJson(found)))
    return
  }
  const { commit, findings, remarks } = found
  for (const finding of findings) say(`${colour('red', 'no')}: ${printable(finding, 400)}`)
  if (findings.length === 0) {
    say(`${colour('green', 'yes')}: ${shortOid(commit)} is ${whereItIs(found)}`)
    if (attestation !== undefined && attestation !== '-')
      note(`the attestation is in ${shellWord(attestation)}`)
  }
  for (const remark of remarks) note(`remark: ${printable(remark, 300)}`)
}

function whereItIs({ move, staging, now }: DeployCheck): string {
  if (move === null) return `on ${staging}`
  const since = age(Date.parse(move.landedAt ?? move.authorizedAt), now)
  return `the release: ${move.kind} by ${printable(move.by, 60)} ${since} ago (record ${move.seq})`
}

function deployCheckJson(found: DeployCheck): object {
  const { commit, environment, findings, remarks, move, seal, record } = found
  const { seq, kind, by, landedAt } = move ?? {}
  const landed = move === null ? null : { record: seq, kind, by, landedAt }
  return { commit, environment, deploy: findings.length === 0, findings, remarks, seal, landed, record }
}

/** Byte for byte, as other tools verify it. */
export function writeAttestation(text: string, file: string, tree: string | null): void {
  if (file === '-') process.stdout.write(text)
  else writeNamedFile(tree, file, text)
}
