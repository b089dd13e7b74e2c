/** Whether a guarded repository learns who pushes: a server that never hears a name has no operators. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { ownName } from '../../../server/install/accounts.ts'
import { parseIdentitySource } from '../../../server/settings.ts'
import type { PolicyInForce } from '../../guard/policy-in-force.ts'
import { hasKeyFor } from '../../guard/policy-remarks.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import { type Diagnosis, problem, remark } from './diagnosis.ts'

/** Enough to see whether pushers have names; records are a few kilobytes each. */
const RECENT_RECORDS = 20

/** `directory` is the repository as a word of a shell command. */
export async function checkIdentity(
  snapshot: Snapshot,
  { policy, signers }: PolicyInForce,
  identity: string,
  directory: string,
): Promise<Diagnosis[]> {
  const source = parseIdentitySource(identity)
  const { named, nameless } = await countNames(snapshot)
  const nobody = `the last ${nameless === 1 ? 'push' : `${nameless} records`} came from nobody: the identity source ${identity} yields no name`
  if (source.kind === 'env') {
    if (nameless === 0 || named > 0) return []
    const fix = `headgate server install ${directory} --identity SOURCE  # or set what it names where people connect: docs/operations.md`
    return [problem('identity', nobody, fix)]
  }
  const findings: Diagnosis[] = []
  if (!policy.promotion.operators.some((name) => hasKeyFor(signers, name, 'git'))) {
    findings.push(
      problem(
        'identity',
        `identity is ${identity}, and no operator has a key for namespace git in allowed_signers: nobody can promote`,
        'add git to the namespaces of the keys that operators push with, then apply the policy',
      ),
    )
  }
  if (source.kind === 'ssh-auth-info' && named === 0) {
    // A pusher who was known by name shows that it works, whatever sshd's file here says.
    const fix = 'put ExposeAuthInfo yes into sshd_config and reload sshd; see docs/operations.md'
    if (sshdExposes() === false)
      findings.push(remark('identity', 'sshd here does not tell hooks which key logged in', fix))
    else if (nameless > 0) findings.push(remark('identity', nobody, fix))
  }
  return findings
}

async function countNames(snapshot: Snapshot): Promise<{ named: number; nameless: number }> {
  const { seq } = snapshot.head
  let [named, nameless] = [0, 0]
  for await (const { by, statement } of snapshot.read(Math.max(1, seq - RECENT_RECORDS + 1))) {
    if (statement.kind === 'policy' || /^(?:admin |server$)/.test(by)) continue
    if (by === 'unidentified') nameless++
    else named++
  }
  return { named, nameless }
}

const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd']

/** What sshd does for this account's logins by the machine's own configuration; null where that cannot be told. */
function sshdExposes(): boolean | null {
  const sshd = SSHD.find((path) => existsSync(path))
  if (sshd === undefined) return null
  const login = `user=${ownName()},host=localhost,addr=127.0.0.1`
  // Mostly only root may read what it asks for.
  const { status, stdout } = spawnSync(sshd, ['-T', '-C', login], { encoding: 'utf8', env: {} })
  const value = /^exposeauthinfo (yes|no)$/m.exec(status === 0 ? stdout : '')?.[1]
  return value === undefined ? null : value === 'yes'
}
