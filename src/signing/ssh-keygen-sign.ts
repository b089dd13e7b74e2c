/** Signing with people's and CI's own keys. ssh-keygen does it, so that agents and hardware keys work. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Envelope } from '../core/envelope.ts'
import { HeadgateError } from '../core/errors.ts'
import { printable, shellWord } from '../core/printable.ts'
import { PAYLOAD_TYPE } from '../core/statement.ts'
import { parseEnvelope, preAuthEncoding } from './dsse.ts'
import { dearmor, type ParsedSignature, parseSshsig, verifySshsig } from './sshsig.ts'

/** Time to find the hardware key and touch it. */
const TIMEOUT_MS = 60_000
/** ssh-keygen prints one signature, or a few lines of complaint. */
const MAX_OUTPUT_BYTES = 65536

/**
 * Signs a payload with `ssh-keygen -Y sign`. `keyFile` is a private key, or a public key (or certificate) whose
 * private half is in the agent or beside it. A passphrase or PIN is asked for on the terminal by ssh-keygen itself.
 * The signature is verified before it is returned.
 * Throws HeadgateError 'configuration' (key, agent, program), 'unavailable' where nobody touched the key in time, or
 * 'data' where the envelope is larger than a server takes.
 */
export async function signEnvelope(input: {
  readonly payload: Uint8Array | string
  readonly namespace: string
  readonly keyFile: string
  /** Whether a person reads standard error, to be asked there for the touch of a hardware key. */
  readonly terminal?: boolean | undefined
  readonly timeoutMs?: number
}): Promise<Envelope> {
  const { namespace, keyFile, terminal = false, timeoutMs = TIMEOUT_MS } = input
  const payload =
    typeof input.payload === 'string' ? Buffer.from(input.payload, 'utf8') : Buffer.from(input.payload)
  const message = preAuthEncoding(PAYLOAD_TYPE, payload)
  const { hardware, isPublic } = await readKeyFile(keyFile)
  const result = await runSshKeygen(['-Y', 'sign', '-n', namespace, '-f', keyFile], message, {
    asksForTouch: hardware && terminal,
    timeoutMs,
  })
  if (result.timedOut) {
    throw new HeadgateError('unavailable', `ssh-keygen did not sign within ${timeoutMs / 1000} seconds`, {
      hint: 'touch the security key, or answer the prompt, and try again',
    })
  }
  if (result.code !== 0) throw explain(keyFile, isPublic, result.stderr)

  const { blob, fingerprint } = checkOwnSignature(result.stdout, namespace, message, keyFile)
  const envelope: Envelope = {
    payloadType: PAYLOAD_TYPE,
    payload: payload.toString('base64'),
    signatures: [{ keyid: fingerprint, sig: blob.toString('base64') }],
  }
  // The size above all: what is too large for the server is better known here.
  return parseEnvelope(Buffer.from(JSON.stringify(envelope)))
}

/** The signer learns here, and not from the server, that no server would accept the key or the signature. */
function checkOwnSignature(
  armored: string,
  namespace: string,
  message: Buffer,
  keyFile: string,
): { blob: Buffer; fingerprint: string } {
  const unusable = (reason: string, cause?: unknown) =>
    new HeadgateError(
      'configuration',
      `the signature made with ${shellWord(keyFile)} is not usable: ${reason}`,
      {
        hint: 'use another key, such as one made with: ssh-keygen -t ed25519',
        cause,
      },
    )
  let blob: Buffer
  let signature: ParsedSignature
  try {
    // A Windows build of ssh-keygen ends lines in CRLF.
    blob = dearmor(armored.replaceAll('\r\n', '\n'))
    signature = parseSshsig(blob)
  } catch (cause) {
    if (cause instanceof HeadgateError) throw unusable(cause.message, cause)
    throw cause
  }
  if (signature.namespace !== namespace || !verifySshsig(signature, message))
    throw unusable('it does not verify')
  return { blob, fingerprint: signature.fingerprint }
}

/** Refuses a file that cannot be a key, with a better message than ssh-keygen's. */
async function readKeyFile(keyFile: string): Promise<{ hardware: boolean; isPublic: boolean }> {
  let text: string
  try {
    text = await readFile(keyFile, 'latin1').catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') throw cause
      // Like ssh-keygen: FILE may be absent where FILE.pub names a key in the agent.
      return readFile(`${keyFile}.pub`, 'latin1').catch(() => Promise.reject(cause))
    })
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
    const reason = FILE_ERRORS.get(code) ?? `cannot be read (${code})`
    throw new HeadgateError('configuration', `key file ${shellWord(keyFile)} ${reason}`, {
      hint: 'name the file of an SSH key, such as ~/.ssh/id_ed25519',
      cause,
    })
  }
  // The unencrypted head of OpenSSH's private key format holds the public key.
  const body = Buffer.from(text.replace(/-----[^-]*-----/g, ''), 'base64')
  return {
    hardware: /^sk-/.test(text) || body.includes('sk-ssh-') || body.includes('sk-ecdsa-'),
    isPublic: /^(?:ssh|sk|ecdsa)-\S+ AAAA/.test(text),
  }
}

const FILE_ERRORS = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'does not exist'],
  ['EACCES', 'is not readable for this user'],
  ['EPERM', 'is not readable for this user'],
  ['EISDIR', 'is a directory'],
])

type Result = {
  readonly code: number | null
  readonly timedOut: boolean
  readonly stdout: string
  readonly stderr: string
}

function runSshKeygen(
  args: readonly string[],
  stdin: Buffer,
  options: { readonly asksForTouch: boolean; readonly timeoutMs: number },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    // "Confirm user presence for key ..." goes to standard error, and a person has to read it while the key waits.
    const stderrMode = options.asksForTouch ? 'inherit' : 'pipe'
    const child = spawn('ssh-keygen', args, { stdio: ['pipe', 'pipe', stderrMode] })
    const finish = (code: number | null, timedOut: boolean) => {
      clearTimeout(patience)
      clearTimeout(lastResort)
      resolve({ code, timedOut, ...output })
    }
    let lastResort: NodeJS.Timeout | undefined
    const patience = setTimeout(() => {
      // TERM lets it restore the terminal's echo.
      child.kill('SIGTERM')
      lastResort = setTimeout(() => {
        child.kill('SIGKILL')
        // A helper of it may live on and hold the pipes open: don't wait for them.
        for (const stream of child.stdio) stream?.destroy()
        finish(null, true)
      }, 1000)
    }, options.timeoutMs)
    const output = { stdout: '', stderr: '' }
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream]?.setEncoding('latin1').on('data', (text: string) => {
        if (output[stream].length < MAX_OUTPUT_BYTES) output[stream] += text
      })
    }
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(patience)
      reject(
        new HeadgateError('configuration', `ssh-keygen cannot be started (${cause.code})`, {
          hint: 'install OpenSSH 8.2 or newer and have ssh-keygen in PATH',
          cause,
        }),
      )
    })
    child.on('close', (code) => finish(code, lastResort !== undefined))
    // It may give up before it has read the message; its exit code then says so.
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin)
  })
}

/** What ssh-keygen says, as a pattern, the reason and the fix. FILE stands for the key file. */
const COMPLAINTS: readonly [RegExp, string, string][] = [
  [/permissions .* are too open|bad permissions/i, 'FILE is readable for others', 'chmod 600 FILE'],
  [
    /no private key found for/i,
    'there is no usable private key for FILE, neither in the agent nor in a file',
    'add the private key to the agent with ssh-add, or name its file',
  ],
  [
    /passphrase|enter pin/i,
    'FILE needs a passphrase or PIN, which was not given or is wrong',
    'run it on a terminal, or unlock the key first: ssh-add FILE',
  ],
  [
    /agent refused operation/i,
    'the agent refused to sign with FILE',
    'unlock the agent or confirm its question',
  ],
  [/device not found/i, 'the security key of FILE is not plugged in', 'plug it in and try again'],
  [
    /couldn't load public key|invalid format|error in libcrypto/i,
    'FILE is not an SSH key',
    'make one with: ssh-keygen -t ed25519',
  ],
  [/unknown option|illegal option/i, 'this ssh-keygen cannot sign', 'install OpenSSH 8.2 or newer'],
]

function explain(keyFile: string, isPublic: boolean, stderr: string): HeadgateError {
  const name = shellWord(keyFile)
  // Of a public key that has no private half it says that others can read it, or that it is no key.
  const said =
    isPublic && /too open|bad permissions|invalid format/i.test(stderr) ? 'no private key found for' : stderr
  const known = COMPLAINTS.find(([pattern]) => pattern.test(said))
  if (known !== undefined) {
    const [, reason, hint] = known
    return new HeadgateError(
      'configuration',
      reason.replace('FILE', () => name),
      {
        hint: hint.replace('FILE', () => name),
      },
    )
  }
  const last = stderr.trimEnd().split('\n').at(-1) ?? ''
  const why = last === '' ? '' : `: ${printable(last)}`
  return new HeadgateError('configuration', `ssh-keygen could not sign with ${name}${why}`, {
    hint: `try it by hand: ssh-keygen -Y sign -n test -f ${name}`,
  })
}
