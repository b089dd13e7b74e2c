/** Pushing one ref to one place, and what came of it as far as git and the server say. */
import { HeadgateError } from '../../core/errors.ts'
import { isZeroOid, type Oid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { isVerdictLine } from '../../core/verdict-line.ts'
import { refusalReason, remoteLines } from '../../git/git-words.ts'
import { type Ended, userGit } from '../../git/user-git.ts'
import type { Caller } from '../caller.ts'
import type { GuardedPlace } from './guarded-place.ts'
import { serverWords } from './server-words.ts'

export type RefPush = {
  readonly place: GuardedPlace
  /** Full name. */
  readonly ref: string
  /** Where the ref must be for the push to mean anything; zeros: it must not exist. Undefined: wherever it is. */
  readonly from?: Oid
  readonly to: Oid
  readonly options?: readonly string[]
  readonly signed?: boolean
}

export type PushOutcome =
  /** With what the server said. */
  | { readonly kind: 'moved'; readonly words: readonly string[] }
  /** The ref is not where it was believed to be, or somebody else is moving it. Nothing was moved by this push. */
  | { readonly kind: 'stale' }
  /** The ref was not moved. What else the server did is told by `words`. */
  | { readonly kind: 'refused'; readonly error: HeadgateError; readonly words: readonly string[] }
  /** The server did not say: it may have moved the ref or not, and may be at it still. */
  | { readonly kind: 'unknown'; readonly error: HeadgateError }

/** Never throws for what the remote does; throws 'configuration' if git cannot be started. */
export async function pushRef(caller: Caller, push: RefPush): Promise<PushOutcome> {
  const { place, ref, from, to, options = [], signed = false } = push
  const { code, stdout, stderr } = await run(caller, [
    ...place.writes.config,
    'push',
    '--porcelain',
    // What the clone's own hook would say has been asked already; tags and submodules are another matter.
    ...['--no-verify', '--no-follow-tags', '--recurse-submodules=no'],
    ...(signed ? ['--signed'] : await unsigned(caller)),
    // Compared by the client with what the remote says now, and by the server when it locks the branch.
    ...(from === undefined ? [] : [`--force-with-lease=${ref}:${isZeroOid(from) ? '' : from}`]),
    ...options.map((option) => `--push-option=${option}`),
    '--',
    place.writes.target,
    `${to}:${ref}`,
  ])
  // One line of the report, by its flag: what git says of the ref when the server's own report has arrived.
  const line = stdout.split('\n').find((one) => one.split('\t')[1]?.endsWith(`:${ref}`)) ?? ''
  const words = remoteLines(stderr)
  if (/^[ +*=]\t/.test(line)) return { kind: 'moved', words }
  if (/^!\t.*\[rejected\]/.test(line)) return { kind: 'stale' }
  if (/^!\t.*\[remote rejected\]/.test(line)) {
    // git's own compare-and-swap, and headgate's when two pushes meet.
    if (/cannot lock|failed to update ref|incorrect old value|reference already exists/.test(line))
      return { kind: 'stale' }
    return { kind: 'refused', error: refusal(words, ref, line), words }
  }
  if (/does not support push options/.test(stderr)) {
    const error = new HeadgateError('configuration', 'the server takes no push options', {
      hint: 'leave --note and --plan out, or the admin sets receive.advertisePushOptions (headgate server install does)',
    })
    return { kind: 'refused', error, words }
  }
  if (/^error: dst refspec .* matches more than one/m.test(stderr)) {
    const error = new HeadgateError(
      'configuration',
      `git knows several refs there by the name ${printable(ref, 200)}`,
      {
        hint: 'headgate doctor names the others, and how to delete them',
      },
    )
    return { kind: 'refused', error, words }
  }
  return { kind: 'unknown', error: failure(code, stderr) }
}

/**
 * git may sign by itself where the server asks for it (`push.gpgSign`), and every server with headgate does. With an SSH key
 * that is who pushes, for some servers; anything else nobody there can verify, and a certificate that does not hold is
 * refused where none is needed.
 */
async function unsigned(caller: Caller): Promise<readonly string[]> {
  const { stdout } = await run(caller, ['config', '--get', 'gpg.format'])
  return stdout.trim().toLowerCase() === 'ssh' ? [] : ['--no-signed']
}

function refusal(words: readonly string[], ref: string, line: string): HeadgateError {
  const branch = printable(ref.replace(/^refs\/heads\//, ''), 100)
  const { undecided, judged, lines } = serverWords(words)
  const what = undecided ? 'the server could not decide' : `the server refused to move ${branch}`
  // A verdict is laid out to be read, rule by rule; its first and last words are about pushes by hand.
  const said = judged ? verdictLines(words) : lines
  const reason = said.length > 0 ? said : [printable(refusalReason(line), 300)]
  return new HeadgateError(undecided ? 'unavailable' : 'refused', [what, ...reason].join('\n'), {
    hint: undecided ? 'try again in a moment, or ask the server admin' : 'nothing was moved',
  })
}

function verdictLines(words: readonly string[]): string[] {
  return words.filter(
    (line) =>
      !isVerdictLine(line) &&
      !/^(?:headgate: push refused|git takes or refuses a push as a whole)/.test(line),
  )
}

function failure(code: number | null, stderr: string): HeadgateError {
  const lines = stderr.split(/\r\n|[\r\n]/).filter((line) => line.trim() !== '')
  const last =
    lines.find((line) => /^(?:fatal|error): /.test(line)) ??
    lines.at(-1) ??
    (code === 0 ? 'the server said nothing' : 'failed')
  return new HeadgateError(
    'unavailable',
    `git push: ${printable(last.replace(/^(?:fatal|error): /, ''), 400)}`,
  )
}

function run({ folder, environment }: Caller, args: readonly string[]): Promise<Ended> {
  return userGit(args, { environment, folder, stdin: 'inherit' })
}
