/**
 * What a shell hook asks: the text that it sends to the service or to a process of its own, and the answer's text.
 *
 *     phase prepared                      pre-receive, prepared, committed or post-receive
 *     repository /srv/git/app.git         what follows is there only where it is set
 *     pusher alice                        the value of the variable that the installation names
 *     namespace, quarantine, certificate, certificate-nonce
 *     login publickey ssh-ed25519 AAAA... a line of the file with which sshd tells how the pusher logged in
 *     option TEXT                         once for each push option
 *                                         an empty line, then git's lines:
 *     <old> SP <new> SP <ref>
 *
 * The answer is a first line, `accepted`, `refused` or `failed`, then the text for the pusher. While there is none the
 * service sends dots, and lines `progress TEXT` for the pusher.
 */
import { HeadgateError } from '../../src/core/errors.ts'
import { MAX_PUSH_OPTION_LENGTH, MAX_PUSH_OPTIONS } from '../../src/core/facts.ts'
import { printable } from '../../src/core/printable.ts'
import { parseUpdates, type RefUpdate } from '../../src/git/hook-input.ts'

const PHASES = ['pre-receive', 'prepared', 'committed', 'post-receive'] as const

export type HookRequest = {
  readonly phase: (typeof PHASES)[number]
  readonly repository: string
  readonly pusher: string
  readonly namespace: string
  readonly quarantine: string
  readonly certificate: string
  readonly certificateNonce: string
  readonly login: readonly string[]
  readonly pushOptions: readonly string[]
  readonly updates: readonly RefUpdate[]
}

export type HookAnswer = { readonly accepted: boolean; readonly text: string }

/** More than any push that names guarded refs one by one. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024

/** Throws HeadgateError 'data' for anything that the hooks don't write. */
export function parseHookRequest(input: Uint8Array): HookRequest {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  if (bytes.length > MAX_REQUEST_BYTES)
    throw new HeadgateError('data', 'the push names too many refs to judge')
  const end = bytes.indexOf('\n\n')
  if (end < 0) throw new HeadgateError('data', 'a hook sent a request that breaks off')
  const values = new Map<string, string>()
  const login: string[] = []
  const pushOptions: string[] = []
  for (const line of bytes.toString('utf8', 0, end).split('\n')) {
    const space = line.indexOf(' ')
    const [key, value] = [line.slice(0, space), line.slice(space + 1)]
    if (key === 'option') pushOptions.push(value.slice(0, MAX_PUSH_OPTION_LENGTH))
    else if (key === 'login') login.push(value)
    else if (KEYS.has(key) && !values.has(key)) values.set(key, value)
    else throw new HeadgateError('data', `a hook sent a line that is not known: ${printable(line, 80)}`)
  }
  const phase = PHASES.find((name) => name === values.get('phase'))
  const repository = values.get('repository') ?? ''
  if (phase === undefined || repository === '')
    throw new HeadgateError('data', 'a hook sent a request without its phase or its repository')
  return {
    phase,
    repository,
    pusher: values.get('pusher') ?? '',
    namespace: values.get('namespace') ?? '',
    quarantine: values.get('quarantine') ?? '',
    certificate: values.get('certificate') ?? '',
    certificateNonce: values.get('certificate-nonce') ?? '',
    login,
    pushOptions: pushOptions.slice(0, MAX_PUSH_OPTIONS),
    updates: parseUpdates(bytes.subarray(end + 2), {
      symbolic: phase === 'prepared' || phase === 'committed',
    }),
  }
}

const KEYS: ReadonlySet<string> = new Set([
  'phase',
  'repository',
  'pusher',
  'namespace',
  'quarantine',
  'certificate',
  'certificate-nonce',
])

export function answerText({ accepted, text }: HookAnswer): string {
  return `${accepted ? 'accepted' : 'refused'}\n${text}\n`
}

/**
 * The answer where headgate could not do what it was asked. After the move there is no decision left to make, only a
 * record to write, which is made up for later. A bug comes with its stack, so that it can be reported.
 */
export function failureText(error: unknown, phase?: HookRequest['phase']): string {
  const late = phase === 'committed' || phase === 'post-receive'
  if (!(error instanceof HeadgateError)) {
    const stack = String((error as Error | undefined)?.stack ?? error)
    const what = late ? 'recording what landed' : 'deciding'
    return `failed\nheadgate: a bug kept it from ${what}; please report it:\n${stack}\n`
  }
  if (late)
    return `failed\nheadgate: the move landed and is not recorded yet: ${error.message}\n  the next push records it, or the start of the service\n`
  const hint = error.hint === undefined ? '' : `  ${error.hint}\n`
  return `failed\nheadgate: no decision can be made: ${error.message}\n${hint}`
}
