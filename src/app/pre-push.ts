/**
 * The part of the pre-push hook that thinks: the server's verdict before anything is sent. It refuses only what the
 * server would certainly refuse; where it cannot tell, the push goes on.
 */

import { HeadgateError } from '../core/errors.ts'
import { CLOCK_SKEW_MS } from '../core/evidence.ts'
import { type RefReport, shortRef } from '../core/explain.ts'
import { isZeroOid, type Oid, shortOid, zeroOidLike } from '../core/oid.ts'
import type { Terms } from '../core/policy/policy.ts'
import { INBOX, isReserved } from '../core/refs.ts'
import { DESPITE_BAR } from '../core/rules/barred.ts'
import { reserved } from '../core/rules/reserved.ts'
import type { Objection } from '../core/verdict.ts'
import { rememberRemote } from '../git/guarded-remotes.ts'
import { type PushLine, parsePushLines, updateOf } from '../git/push-lines.ts'
import type { GitRepository } from '../git/repository.ts'
import { type Foresight, foreseeRelease, foreseeStaging, refsOf } from '../guard/foresee.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import type { Caller, Environment } from './caller.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { type Look, lookAt, pushTarget, readCopy } from './clone/remote-view.ts'
import { thisProgram } from './this-program.ts'

/**
 * For what is asked of the remote. git has opened its connection to the server already, and a server hangs up after a
 * while. Two short connections take a second on a bad day.
 */
export const DEADLINE_MS = 5_000

export type PrePushOptions = {
  /** The remote as it is named, and where the push goes: what git gives the hook. */
  readonly remote: string
  readonly url: string
  /** What git writes to the hook: a line for each ref that is pushed. */
  readonly lines: Uint8Array
}

/** Unless it is refused the push goes on, and the server decides. */
export type PrePushVerdict =
  /** Nothing speaks against the push. */
  | { readonly kind: 'passes' }
  /** `others`: refs of the same push that nothing speaks against. */
  | { readonly kind: 'refused'; readonly blamed: readonly RefReport[]; readonly others: readonly string[] }
  | { readonly kind: 'unclear'; readonly reason: string }
  /** The remote said nothing within `DEADLINE_MS`. Connections to it may be open still. */
  | { readonly kind: 'no-answer' }

export async function prePush(caller: Caller, options: PrePushOptions): Promise<PrePushVerdict> {
  try {
    return await judge(caller, options, parsePushLines(options.lines))
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    return { kind: 'unclear', reason: error.message.split('\n')[0] ?? '' }
  }
}

const PASSES: PrePushVerdict = { kind: 'passes' }

async function judge(
  caller: Caller,
  { remote, url }: PrePushOptions,
  lines: readonly PushLine[],
): Promise<PrePushVerdict> {
  const client = new ClientRepository(caller)
  const repository = await client.open()
  try {
    const target = await pushTarget(client, remote, url)
    if (await passesByCopy(client, repository, target, lines)) return PASSES
    const look = await lookInTime(client, repository, target)
    if (look === null) return { kind: 'no-answer' }
    const names = look.kind === 'guarded' ? refsOf(look.view.inForce.policy) : null
    rememberRemote(repository.commonDirectory, thisProgram(), { name: remote, url }, names)
    return look.kind === 'open' ? PASSES : await judgeLines(repository, look.view, lines)
  } finally {
    repository.close()
  }
}

/** Null where the remote does not answer in time. */
async function lookInTime(
  client: ClientRepository,
  repository: GitRepository,
  target: string,
): Promise<Look | null> {
  const environment = await askingNothing(client)
  const abort = new AbortController()
  const looking = lookAt(
    new ClientRepository({ ...client.caller, environment, abort: abort.signal }),
    repository,
    target,
  )
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => {
      // What git says of its end is no answer any more.
      looking.catch(() => {})
      resolve(null)
      abort.abort()
    }, DEADLINE_MS)
  })
  try {
    return await Promise.race([looking, late])
  } finally {
    clearTimeout(timer)
  }
}

/** A hook has no terminal to itself: a program that would ask for a password fails instead, and the server decides. */
async function askingNothing(client: ClientRepository): Promise<Environment> {
  const seconds = DEADLINE_MS / 1000
  const environment: Environment = {
    // An editor that pushes answers by a program of its own, without asking; those of a desktop open a window.
    GIT_ASKPASS: '',
    GCM_INTERACTIVE: 'never',
    // What is left of a connection that was given up ends by itself, too.
    GIT_HTTP_LOW_SPEED_LIMIT: '1',
    GIT_HTTP_LOW_SPEED_TIME: `${seconds}`,
    ...client.caller.environment,
    GIT_TERMINAL_PROMPT: '0',
  }
  const { GIT_SSH, GIT_SSH_COMMAND } = environment
  if (GIT_SSH !== undefined && GIT_SSH_COMMAND === undefined) return environment
  const configured = await client.git('config', '--default', 'ssh', '--get', 'core.sshCommand')
  const command = GIT_SSH_COMMAND ?? configured.replace(/\n$/, '')
  if (!/^(?:\S*\/)?ssh(?:\s|$)/.test(command)) return environment
  return { ...environment, GIT_SSH_COMMAND: `${command} -o BatchMode=yes -o ConnectTimeout=${seconds}` }
}

/**
 * A push of the staging branch needs nothing of the remote but its policy, which changes once a month: where the copy of
 * the ledger has nothing against it, the remote is not asked. Where it has, the remote is looked at before anything is
 * refused.
 */
async function passesByCopy(
  client: ClientRepository,
  repository: GitRepository,
  target: string,
  lines: readonly PushLine[],
): Promise<boolean> {
  const copy = await readCopy(client, repository, target)
  if (copy === null) return false
  const { staging, release } = refsOf(copy.inForce.policy)
  for (const line of lines) {
    if (line.ref === release || isReserved(line.ref) || line.from === null) return false
    if (line.ref !== staging) continue
    const refs = new Map(isZeroOid(line.from) ? [] : [[staging, line.from]])
    try {
      const { answer } = await foreseeStaging(repository, { ...copy, refs }, updateOf(line, line.from))
      if (answer !== 'yes') return false
    } catch (error) {
      if (!(error instanceof HeadgateError)) throw error
      return false
    }
  }
  return true
}

async function judgeLines(
  repository: GitRepository,
  view: RemoteView,
  lines: readonly PushLine[],
): Promise<PrePushVerdict> {
  const { policy } = view.inForce
  const { staging, release } = refsOf(policy)
  const submits = lines.some(({ ref }) => ref.startsWith(INBOX))
  const blamed: RefReport[] = []
  let unclear = ''
  for (const line of lines) {
    const current = view.refs.get(line.ref)
    const update = updateOf(line, current)
    if (isReserved(line.ref) && !line.ref.startsWith(INBOX)) blamed.push(reservedReport(line))
    if (line.ref !== staging && line.ref !== release) continue
    if (line.to === (current ?? zeroOidLike(line.to))) continue
    if (line.ref === release && policy.guard === 'relay') {
      blamed.push(relayedReport(line, update.from, policy))
      continue
    }
    const foresight: Foresight =
      line.ref === staging
        ? await foreseeStaging(repository, view, update)
        : await foreseeRelease(repository, view, update, {
            now: Date.now(),
            toleranceMs: CLOCK_SKEW_MS,
            // git tells a hook no push options: what they may name is taken for named.
            pushOptions: view.snapshot.state.bars.map(({ commit }) => `${DESPITE_BAR}${commit}`),
          })
    if (foresight.answer === 'unclear') unclear ||= foresight.reason
    if (foresight.answer !== 'no' || policy.enforcement !== 'enforce') continue
    // The server judges submissions first, and they may be what is missing.
    if (submits && line.ref === release) unclear ||= `the push brings submissions with ${shortRef(release)}`
    else blamed.push(foresight.report)
  }
  if (blamed.length === 0) return unclear === '' ? PASSES : { kind: 'unclear', reason: unclear }
  const causes = new Set(blamed.map(({ ref }) => ref))
  const others = lines
    .filter(({ ref, to }) => !causes.has(ref) && !isZeroOid(to) && !isReserved(ref))
    .map(({ ref }) => ref)
  return { kind: 'refused', blamed, others }
}

function reservedReport(line: PushLine): RefReport {
  return {
    ref: line.ref,
    from: line.from ?? zeroOidLike(line.to),
    to: line.to,
    what: '',
    objections: [reserved(line.ref)],
  }
}

/** The host refuses everybody but the relay, in words of its own that name no way out. */
function relayedReport({ ref, to }: PushLine, from: Oid, { release }: Terms): RefReport {
  const objection: Objection = {
    rule: 'operator',
    found: [`a relay alone moves ${release} here, as operators ask for it`],
    fix: ['an operator asks for it:', `  headgate promote ${shortOid(to)} --key FILE`],
  }
  return { ref, from, to, what: '', objections: [objection] }
}
