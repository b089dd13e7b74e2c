/** A developer's clone: its hooks, its keys, and the remotes that it pushes to. */

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { readRemoteList } from '../../git/guarded-remotes.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { RemoteView } from '../../guard/guarded-view.ts'
import { type ClonePlaces, findPlaces } from '../client-hooks/clone-places.ts'
import { CLIENT_HOOKS } from '../client-hooks/hook-script.ts'
import { findRunner } from '../client-hooks/install.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { pushSigning, signsInVain } from '../clone/push-signing.ts'
import { lookAt, pushTarget, pushUrls } from '../clone/remote-view.ts'
import { checkCloneHooks } from './clone-hooks.ts'
import { type Diagnosis, problem, remark } from './diagnosis.ts'
import { checkGitVersion } from './git-age.ts'
import { driftFindings } from './ledger-checks.ts'
import { guardedRefs, ownNamesakes, remoteNamesakes } from './namesake-checks.ts'
import { checkPolicyOnStaging } from './policy-on-staging.ts'
import { checkPrivateKey } from './private-key.ts'

export async function checkClone(client: ClientRepository): Promise<Diagnosis[]> {
  const places = await findPlaces(client)
  const hooks = checkTree(places)
  return [
    ...checkGitVersion(client.gitPath),
    ...(isWithoutHooks(places, hooks) ? [WITHOUT_HOOKS] : [...hooks, ...checkPrograms(places.common)]),
    ...(await checkKeys(client)),
    ...(await checkRemotes(client)),
  ]
}

/** The server judges in any case: a clone without the hooks only hears its verdict later. */
const WITHOUT_HOOKS: Diagnosis = {
  code: 'hooks-optional',
  level: 'remark',
  what: "headgate's hooks, which are optional, are not in this clone: only the server judges its pushes",
  fix: 'headgate init',
  repair: { kind: 'install' },
}

/** Whether this clone never had hooks of headgate, and they would run here. */
function isWithoutHooks(places: ClonePlaces, findings: readonly Diagnosis[]): boolean {
  const missing = findings.filter(({ code }) => code === 'hook-missing').length
  return (
    readRemoteList(places.common) === null && missing === findings.length && missing >= CLIENT_HOOKS.length
  )
}

/** The hooks, as far as they can be looked at: the tree may have something else where a file should be. */
function checkTree(places: ClonePlaces): Diagnosis[] {
  try {
    return checkCloneHooks(places, findRunner(places))
  } catch (error) {
    if (!(error instanceof HeadgateError) || error.code !== 'configuration') throw error
    return [problem('hook-unreadable', error.message, error.hint ?? 'put a file in its place')]
  }
}

/** The list that tells the hooks what to start. */
function checkPrograms(common: string): Diagnosis[] {
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
async function checkKeys(client: ClientRepository): Promise<Diagnosis[]> {
  const value = async (name: string) => (await client.git('config', '--default', '', '--get', name)).trim()
  const keys: string[] = []
  const { HEADGATE_KEY } = client.caller.environment
  if (HEADGATE_KEY) keys.push(HEADGATE_KEY)
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

async function checkRemotes(client: ClientRepository): Promise<Diagnosis[]> {
  const names = (await client.git('remote')).split('\n').filter((name) => name !== '')
  if (names.length === 0)
    return [problem('no-remote', 'this clone has no remote', 'git remote add origin URL && headgate init')]
  const findings: Diagnosis[] = []
  const outOfReach: Diagnosis[] = []
  const repository = await client.open()
  try {
    let guarded = 0
    for (const name of names) {
      try {
        for (const url of await pushUrls(client, name)) {
          const target = await pushTarget(client, name, url)
          const look = await lookAt(client, repository, target)
          if (look.kind === 'open') continue
          guarded++
          findings.push(...(await checkRemote(client, repository, { name, url, target }, look.view)))
        }
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error
        const what = `${printable(name, 100)}: ${printable(error.message.split('\n')[0] ?? '', 300)}`
        const byHand = error.hint?.replace(/^try it by hand: /, '') ?? `git ls-remote ${shellWord(name)}`
        outOfReach.push(problem('remote', what, byHand))
      }
    }
    // One that is away says little where the guarded one is there.
    findings.push(...outOfReach.map((one) => (guarded === 0 ? one : { ...one, level: 'remark' as const })))
    if (guarded === 0 && findings.length === 0) {
      const what = 'none of the remotes is guarded'
      findings.push(remark('not-guarded', what, 'the server admin runs: headgate server install REPO.git'))
    }
  } finally {
    repository.close()
  }
  return findings
}

async function checkRemote(
  client: ClientRepository,
  repository: GitRepository,
  { name, url, target }: { readonly name: string; readonly url: string; readonly target: string },
  { snapshot, inForce, refs }: RemoteView,
): Promise<Diagnosis[]> {
  const shown = printable(name, 100)
  const findings: Diagnosis[] = []
  const { staging, release } = refsOf(inForce.policy)
  const list = readRemoteList(repository.commonDirectory)
  const known = list?.guarded.find((remote) => remote.name === name || remote.url === url)
  const isKnown = known?.staging === staging && known.release === release
  // Where there is no list at all, that has been said.
  if (list !== null && (!isKnown || list.open.includes(`${name} ${url}`))) {
    const what = `the hooks do not know that ${shown} guards ${inForce.policy.staging} and ${inForce.policy.release}`
    findings.push(problem('list-stale', what, 'headgate init', { kind: 'install' }))
  }
  findings.push(...driftFindings(snapshot, inForce, refs.get(release) ?? null))
  const branches = guardedRefs(snapshot, inForce)
  findings.push(...(await remoteNamesakes(client, { name, target }, branches)))
  findings.push(...(await ownNamesakes(repository, name, branches)))
  const tip = refs.get(staging)
  if (tip !== undefined)
    findings.push(...(await checkPolicyOnStaging(repository, tip, inForce, 'headgate policy apply REPO.git')))
  const signing = await pushSigning(client)
  const { signedPush } = inForce.policy.promotion
  if (signedPush !== 'ignore' && signsInVain(signing)) {
    const what = `git here signs pushes with ${signing.format}, and ${shown} verifies SSH signatures alone: it would refuse a promotion`
    const ssh = 'git config gpg.format ssh && git config user.signingKey FILE.pub'
    const fix = signedPush === 'required' ? ssh : `${ssh}  # or: git config push.gpgSign false`
    findings.push(remark('signed-push', what, fix))
  } else if (signedPush === 'required' && !signing.signs) {
    const what = `${shown} wants promotions to be pushed with --signed, and git does not do so here by itself`
    findings.push(remark('signed-push', what, 'git config push.gpgSign if-asked  # for operators'))
  }
  return findings
}
