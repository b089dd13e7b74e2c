/** Pushing one branch of a guarded remote, and what came of it. */
import { spawn } from 'node:child_process'
import { HeadgateError } from '../core/errors.ts'
import { isZeroOid, type Oid } from '../core/oid.ts'
import { printable } from '../core/printable.ts'
import { serverWords } from './server-words.ts'

export type Push = {
  readonly remote: string
  /** Full name. */
  readonly ref: string
  /** Where the branch must be for the push to mean anything; zeros: it must not exist. */
  readonly from: Oid
  readonly to: Oid
  readonly options?: readonly string[]
  readonly signed?: boolean
}

export type PushOutcome =
  /** With what the server said. */
  | { readonly kind: 'moved'; readonly words: readonly string[] }
  /** The branch is not where it was believed to be, or somebody else is moving it. Nothing was moved by this push. */
  | { readonly kind: 'stale' }
  | { readonly kind: 'refused'; readonly error: HeadgateError }
  /** The connection failed: it may have moved or not. */
  | { readonly kind: 'unknown'; readonly error: HeadgateError }

/** A server's refusal is a few lines. */
const MAX_OUTPUT_BYTES = 1024 * 1024

/** Never throws for what the remote does; throws 'configuration' if git cannot be started. */
export async function pushBranch(push: Push): Promise<PushOutcome> {
  const { remote, ref, from, to, options = [], signed = false } = push
  const args = [
    'push',
    '--porcelain',
    // What the clone's own hook would say has been asked already; tags and submodules are another matter.
    ...['--no-verify', '--no-follow-tags', '--recurse-submodules=no'],
    ...(signed ? ['--signed'] : []),
    // Compared by the client with what the remote says now, and by the server when it locks the branch.
    `--force-with-lease=${ref}:${isZeroOid(from) ? '' : from}`,
    ...options.map((option) => `--push-option=${option}`),
    '--',
    remote,
    `${to}:${ref}`,
  ]
  let { code, stdout, stderr } = await run(args)
  if (code !== 0 && /--mirror can't be combined/.test(stderr))
    ({ code, stdout, stderr } = await run(['-c', `remote.${remote}.mirror=false`, ...args]))
  if (code === 0) return { kind: 'moved', words: remoteLines(stderr) }
  const line = stdout.split('\n').find((one) => one.startsWith('!')) ?? ''
  if (/\[rejected\]/.test(line)) return { kind: 'stale' }
  if (/\[remote rejected\]/.test(line)) {
    // git's own compare-and-swap, and headgate's when two pushes meet.
    if (/cannot lock|failed to update ref|incorrect old value|reference already exists/.test(line))
      return { kind: 'stale' }
    return { kind: 'refused', error: refusal(`${stdout}\n${stderr}`, ref, line) }
  }
  return { kind: 'unknown', error: failure(stderr, remote) }
}

function refusal(output: string, ref: string, line: string): HeadgateError {
  const branch = printable(ref.replace(/^refs\/heads\//, ''), 100)
  const { undecided, judged, lines } = serverWords(output)
  const what = undecided ? 'the server could not decide' : `the server refused to move ${branch}`
  // A verdict is laid out to be read, rule by rule; its first and last words are about pushes by hand.
  const said = judged ? verdictLines(output) : lines
  const reason =
    said.length > 0 ? said : [printable(/\(([^)]*)\)\s*$/.exec(line)?.[1] ?? 'without a word', 300)]
  return new HeadgateError(undecided ? 'unavailable' : 'refused', [what, ...reason].join('\n'), {
    hint: undecided ? 'try again in a moment, or ask the server admin' : 'nothing was moved',
  })
}

function verdictLines(output: string): string[] {
  return remoteLines(output).filter(
    (line) => !/^(?:headgate: push refused|git takes or refuses a push as a whole)/.test(line),
  )
}

function failure(stderr: string, remote: string): HeadgateError {
  const lines = stderr.split(/\r\n|[\r\n]/).filter((line) => line.trim() !== '')
  const last = lines.find((line) => /^(?:fatal|error): /.test(line)) ?? lines.at(-1) ?? 'failed'
  if (/does not support push options/.test(stderr)) {
    return new HeadgateError('configuration', 'the server takes no push options', {
      hint: 'leave --note and --plan out, or the admin sets receive.advertisePushOptions (headgate server install does)',
    })
  }
  return new HeadgateError(
    'unavailable',
    `git push: ${printable(last.replace(/^(?:fatal|error): /, ''), 400)}`,
    {
      hint: `try again when the remote can be reached: git ls-remote ${printable(remote, 200)}`,
    },
  )
}

/** What the server said, without git's prefix. */
function remoteLines(stderr: string): string[] {
  return stderr
    .split(/\r\n|[\r\n]/)
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trimEnd())
    .filter((line) => line !== '')
}

function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, {
      // git reads the words of its own processes, too, and they must be in one language.
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['inherit', 'pipe', 'pipe'],
    })
    const output = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        if (output[stream].length < MAX_OUTPUT_BYTES) output[stream] += text
      })
    }
    child.on('error', (cause) => {
      reject(
        new HeadgateError('configuration', `git cannot be started: ${cause.message}`, {
          hint: 'have git in PATH',
          cause,
        }),
      )
    })
    child.on('close', (code) => resolve({ code: code ?? -1, ...output }))
  })
}
