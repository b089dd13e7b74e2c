/** What the ledger of a guarded repository says of its branches, its policy and its people. */

import { guardedLines, readGuardedLines, wasGuarded } from '../../../server/guarded-list.ts'
import { isZeroOid, type Oid, shortOid } from '../../core/oid.ts'
import { policyJson } from '../../core/policy/policy-json.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { LEDGER_REF } from '../../core/refs.ts'
import { formerBranches } from '../../core/state.ts'
import { gitWithoutHooks } from '../../git/configured-hooks.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import { JSON_OF_TEXT, type PolicyInForce, parsePolicyFiles } from '../../guard/policy-in-force.ts'
import { policyRemarks } from '../../guard/policy-remarks.ts'
import { GitLedger } from '../../ledger/git-ledger.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import { POLICY_JSON_FILE, policyPath } from '../../ledger/ledger-tree.ts'
import { type Diagnosis, problem, remark } from './diagnosis.ts'
import { checkIdentity } from './identity-checks.ts'
import { guardedRefs, serverNamesakes } from './namesake-checks.ts'
import { checkPolicyOnStaging } from './policy-on-staging.ts'

export async function checkLedger(repository: GitRepository, identity: string): Promise<Diagnosis[]> {
  const snapshot = await new GitLedger(repository).snapshot()
  const files = await snapshot.policyInForce()
  const directory = shellWord(repository.commonDirectory)
  const git = gitWithoutHooks(repository.commonDirectory)
  if (files === null && wasGuarded(repository.commonDirectory)) {
    const what =
      'branches are guarded here, but the ledger with their policy is gone: every push of them is refused'
    const fix = `${git} fetch COPY ${LEDGER_REF}:${LEDGER_REF}  # COPY: a mirror that has it; in a clone it is refs/headgate-copies/origin/ledger`
    return [problem('ledger-gone', what, fix)]
  }
  if (files === null) {
    const what = 'no policy is in force, so nothing is guarded but refs/headgate/'
    return [problem('no-policy', what, `headgate policy apply ${directory} DIR`)]
  }
  const inForce = parsePolicyFiles(files)
  const { staging, release } = refsOf(inForce.policy)
  const refs = await repository.refs([staging, release])
  const findings: Diagnosis[] = []
  for (const [name, { symref }] of refs) {
    if (symref === undefined) continue
    findings.push(
      problem(
        'symbolic-ref',
        `${name} is a symbolic ref to ${symref}, and no move of it can be judged`,
        `${git} symbolic-ref --delete ${name} && ${git} update-ref ${name} COMMIT`,
      ),
    )
  }
  const oids = new Map([...refs].map(([name, { oid }]) => [name, oid]))
  findings.push(...checkGuardedList(repository.commonDirectory, snapshot, inForce))
  findings.push(...(await serverNamesakes(repository, guardedRefs(snapshot, inForce))))
  findings.push(...driftFindings(snapshot, inForce, oids.get(release) ?? null))
  const tip = oids.get(staging)
  if (tip === undefined || isZeroOid(tip)) {
    const fix = `push it, or name the right branch in the policy`
    findings.push(
      problem('no-staging', `${inForce.policy.staging} does not exist, so nothing can be promoted`, fix),
    )
  } else
    findings.push(
      ...(await checkPolicyOnStaging(repository, tip, inForce, `headgate policy apply ${directory}`)),
    )
  findings.push(...jsonFindings(inForce, `headgate policy apply ${directory}`))
  for (const what of policyRemarks(inForce))
    findings.push(remark('policy', what, 'edit the policy, then apply it'))
  findings.push(...(await checkIdentity(snapshot, inForce, identity, directory)))
  return findings
}

/** Whether the JSON by which the server decides is there, and is what the policy says. */
function jsonFindings({ files, policy, version }: PolicyInForce, apply: string): Diagnosis[] {
  if (files.json === policyJson(policy)) return []
  if (files.json === undefined) {
    const what =
      'an older headgate applied the policy: a hook that decides by itself reads its text at each push'
    return [remark('policy-json', what, apply)]
  }
  const what = `${policyPath(version, POLICY_JSON_FILE)} in the ledger, by which the server decides, is not ${JSON_OF_TEXT}`
  return [problem('policy-json', what, `${apply}  # after you have found out who changed the ledger`)]
}

/** Whether the hooks know all that is guarded. A list that says more costs time and is no fault. */
function checkGuardedList(directory: string, snapshot: Snapshot, { policy }: PolicyInForce): Diagnosis[] {
  const there = readGuardedLines(directory)
  const missing = guardedLines([policy], formerBranches(snapshot.state)).filter(
    (line) => !there.includes(line),
  )
  if (missing.length === 0) return []
  const names = missing.map((line) => printable(line.replace(/^.* /, ''), 100))
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  const what = `the list of guarded refs, headgate/guarded, lacks ${names.slice(0, 3).join(', ')}${more}`
  return [
    problem('guarded-list', what, `headgate server install ${shellWord(directory)}`, { kind: 'install' }),
  ]
}

/** Whether the release branch is where its last landed move put it. Also for a copy of the ledger in a clone. */
export function driftFindings(snapshot: Snapshot, { policy }: PolicyInForce, found: Oid | null): Diagnosis[] {
  const { release } = refsOf(policy)
  const { landed, open } = snapshot.state
  const onItsWay = open.filter(({ ref }) => ref === release)
  if (onItsWay.some(({ to }) => to === found)) return []
  const expected = landed[release]?.to ?? null
  if (expected === found) return []
  const stands = found === null ? 'does not exist' : `is at ${shortOid(found)}`
  const should =
    expected === null ? 'no move of it ever landed' : `its last landed move put it at ${shortOid(expected)}`
  return [
    problem(
      'drift',
      `${policy.release} ${stands}, but ${should}: someone moved it behind the guard`,
      'headgate drift --reason TEXT --key FILE  # an operator, in a clone, who has found out who moved it and why',
    ),
  ]
}
