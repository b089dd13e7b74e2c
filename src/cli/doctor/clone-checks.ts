/** A developer's clone: its hooks, its keys, and the remotes that it pushes to. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { refsOf } from '../../audit/foresee.ts'
import { HeadgateError } from '../../core/errors.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { findGit } from '../../git/find-git.ts'
import { readRemoteList } from '../../git/guarded-remotes.ts'
import { findPlaces } from '../client-hooks/clone-places.ts'
import { findRunner } from '../client-hooks/install.ts'
import type { ClientRepository } from '../client-repository.ts'
import { lookAt } from '../remote-view.ts'
import { checkCloneHooks } from './clone-hooks.ts'
import { type Finding, problem, remark } from './finding.ts'
import { checkGitVersion } from './git-version.ts'
import { driftFindings } from './ledger-checks.ts'
import { checkPolicyOnStaging } from './policy-on-staging.ts'
import { checkPrivateKey } from './private-key.ts'

export async function checkClone(client: ClientRepository): Promise<Finding[]> {
  const places = await findPlaces(client)
  return [
    ...checkGitVersion(findGit()),
    ...checkCloneHooks(places, await findRunner(client, places)),
    ...checkPrograms(places.common),
    ...(await checkKeys(client)),
    ...(await checkRemotes(client, places.common)),
  ]
}

/** The list that tells the hooks what to start. */
function checkPrograms(common: string): Finding[] {
  const list = readRemoteList(common)
  if (list === null) {
    const what = 'the hooks do not know the remotes of this clone yet and go by .headgate/policy.yaml'
    return [problem('list-missing', what, 'headgate init', { kind: 'install' })]
  }
  const gone = [list.node, list.app].filter((path) => !existsSync(path))
  return gone.map((path) =>
    problem('program-missing', `the hooks start ${printable(path, 300)}, which is gone`, 'headgate init', {
      kind: 'install',
    }),
  )
}

/** The keys that this account signs with: HEADGATE_KEY, and git's where it signs with SSH. */
async function checkKeys(client: ClientRepository): Promise<Finding[]> {
  const value = async (name: string) => (await client.git('config', '--default', '', '--get', name)).trim()
  const keys: string[] = []
  if (process.env.HEADGATE_KEY) keys.push(process.env.HEADGATE_KEY)
  if ((await value('gpg.format')) === 'ssh') {
    const key = await value('user.signingKey')
    if (key !== '' && !/^(?:key::|ssh-|ecdsa-|sk-)/.test(key)) keys.push(key)
  }
  return keys.flatMap((key) => {
    const path = resolve(key.replace(/^~(?=\/)/, homedir()))
    // A public key stands for one in an agent, where its private half is not beside it.
    const secret = path.replace(/\.pub$/, '')
    if (!existsSync(secret) && existsSync(`${secret}.pub`)) return []
    return checkPrivateKey(secret)
  })
}

async function checkRemotes(client: ClientRepository, common: string): Promise<Finding[]> {
  const names = (await client.git('remote')).split('\n').filter((name) => name !== '')
  if (names.length === 0)
    return [problem('no-remote', 'this clone has no remote', 'git remote add origin URL, then headgate init')]
  const findings: Finding[] = []
  const repository = await client.open()
  try {
    let guarded = 0
    for (const name of names) {
      const shown = printable(name, 100)
      try {
        const look = await lookAt(client, repository, name)
        if (look.kind === 'open') continue
        guarded++
        const { snapshot, inForce, refs } = look.view
        const branches = refsOf(inForce.policy)
        const known = readRemoteList(common)?.guarded.find((remote) => remote.name === name)
        if (known?.staging !== branches.staging || known.release !== branches.release) {
          const what = `the hooks do not know that ${shown} guards ${inForce.policy.staging} and ${inForce.policy.release}`
          findings.push(problem('list-stale', what, 'headgate init', { kind: 'install' }))
        }
        findings.push(...driftFindings(snapshot, inForce, refs.get(branches.release) ?? null))
        const tip = refs.get(branches.staging)
        if (tip !== undefined)
          findings.push(
            ...(await checkPolicyOnStaging(repository, tip, inForce, 'headgate policy apply REPO.git')),
          )
        const { signedPush } = inForce.policy.promotion
        if (signedPush === 'required' && !(await signsPushes(client))) {
          const what = `${shown} wants promotions to be pushed with --signed, and git does not do so here by itself`
          findings.push(remark('signed-push', what, 'operators: git config push.gpgSign if-asked'))
        }
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
        const what = `${shown}: ${printable(error.message.split('\n')[0] ?? '', 300)}`
        findings.push(problem('remote', what, error.hint ?? `git ls-remote ${shellWord(name)}`))
      }
    }
    if (guarded === 0 && findings.length === 0) {
      const what = 'none of the remotes is guarded'
      findings.push(remark('not-guarded', what, 'the server admin runs: headgate server install REPO.git'))
    }
  } finally {
    repository.close()
  }
  return findings
}

async function signsPushes(client: ClientRepository): Promise<boolean> {
  const value = await client.git('config', '--default', 'false', '--get', 'push.gpgSign')
  return !/^(?:false|no|off|0)$/i.test(value.trim())
}
