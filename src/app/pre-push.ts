/**
 * The part of the pre-push hook that thinks: the server's verdict before anything is sent. It refuses only what the
 * server would certainly refuse; whenever it cannot tell it says so, and the push goes on.
 */

import { note } from '../cli/output.ts'
import { thisCaller } from '../cli/this-caller.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { CLOCK_SKEW_MS } from '../core/evidence.ts'
import { explainRefusal, type RefReport, shortRef } from '../core/explain.ts'
import { isZeroOid, zeroOidLike } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { INBOX, isReserved } from '../core/refs.ts'
import { DESPITE_BAR } from '../core/rules/barred.ts'
import { reserved } from '../core/rules/reserved.ts'
import { rememberRemote } from '../git/guarded-remotes.ts'
import { type PushLine, parsePushLines, updateOf } from '../git/push-lines.ts'
import type { GitRepository } from '../git/repository.ts'
import { type Foresight, foreseeRelease, foreseeStaging, refsOf } from '../guard/foresee.ts'
import type { RemoteView } from '../guard/guarded-view.ts'
import type { Environment } from './caller.ts'
import { ClientRepository } from './clone/client-repository.ts'
import { type Look, lookAt, pushTarget, readCopy } from './clone/remote-view.ts'
import { shownRemote } from './clone/shown-remote.ts'
import { thisProgram } from './this-program.ts'

/**
 * For what is asked of the remote. git has opened its connection to the server already, and a server hangs up after a
 * while. Two short connections take a second on a bad day.
 */
const DEADLINE_MS = 5_000

export async function prePush(remote: string, url: string, input: Uint8Array): Promise<void> {
  try {
    const verdict = await judge(remote, url, parsePushLines(input))
    if (verdict.unclear !== '') letGo(verdict.unclear)
    if (verdict.refusal === '') return
    note(verdict.refusal)
    note('')
    note('Nothing was sent. This is what the server would say; git push --no-verify asks it.')
    process.exitCode = EXIT_CODES.refused
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    letGo(printable(error.message.split('\n')[0] ?? '', 300))
  }
}

/** The server will decide. */
function letGo(reason: string): void {
  note(`headgate: could not tell beforehand, so the server decides: ${reason}`)
  process.exitCode = EXIT_CODES.unavailable
}

/** Both empty: nothing speaks against the push. */
type Verdict = { readonly refusal: string; readonly unclear: string }

const NOTHING: Verdict = { refusal: '', unclear: '' }

async function judge(remote: string, url: string, lines: readonly PushLine[]): Promise<Verdict> {
  const client = new ClientRepository(thisCaller())
  const repository = await client.open()
  try {
    const target = await pushTarget(client, remote, url)
    if (await passesByCopy(client, repository, target, lines)) return NOTHING
    const look = await lookInTime(repository, remote, target, await askingNothing(client))
    const names = look.kind === 'guarded' ? refsOf(look.view.inForce.policy) : null
    rememberRemote(repository.commonDirectory, thisProgram(), { name: remote, url }, names)
    return look.kind === 'open' ? NOTHING : await judgeLines(repository, look.view, lines)
  } finally {
    repository.close()
  }
}

async function lookInTime(
  repository: GitRepository,
  remote: string,
  target: string,
  environment: Environment,
): Promise<Look> {
  const abort = new AbortController()
  const looking = lookAt(
    new ClientRepository({ ...thisCaller(), environment, abort: abort.signal }),
    repository,
    target,
  )
  const timer = setTimeout(() => {
    letGo(`${shownRemote(remote)} did not answer within ${DEADLINE_MS / 1000} seconds`)
    abort.abort()
    // Whatever is still open must not keep the push waiting.
    process.exit(EXIT_CODES.unavailable)
  }, DEADLINE_MS)
  try {
    return await looking
  } finally {
    clearTimeout(timer)
  }
}

/** A hook has no terminal to itself: whatever would ask for a password fails instead, and the server decides. */
async function askingNothing(client: ClientRepository): Promise<Environment> {
  const seconds = DEADLINE_MS / 1000
  const environment: Environment = {
    // An editor that pushes answers by a program of its own, without asking; those of a desktop open a window.
    GIT_ASKPASS: '',
    GCM_INTERACTIVE: 'never',
    // What is left of a connection that was given up ends by itself, too.
    GIT_HTTP_LOW_SPEED_LIMIT: '1',
    GIT_HTTP_LOW_SPEED_TIME: `${seconds}`,
    ...process.env,
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
 * the ledger has nothing against it, nobody is asked. Where it has, the remote is looked at before anything is refused.
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
): Promise<Verdict> {
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
  if (blamed.length === 0) return { refusal: '', unclear }
  const causes = new Set(blamed.map(({ ref }) => ref))
  const others = lines
    .filter(({ ref, to }) => !causes.has(ref) && !isZeroOid(to) && !isReserved(ref))
    .map(({ ref }) => ref)
  return { refusal: explainRefusal(blamed, others), unclear: '' }
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
