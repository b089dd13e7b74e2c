/** The real ssh-keygen, the reference that the tests compare with. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wireMpint, wireString, wireUint32 } from '../../src/signing/ssh-wire.ts'
import { dearmor } from '../../src/signing/sshsig.ts'

// No agent and no askpass of whoever runs the tests; times in UTC.
export const cleanEnv: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  TZ: 'UTC',
}

export const KEY_KINDS = [
  ['ed25519', []],
  ['ecdsa 256', ['-b', '256']],
  ['ecdsa 384', ['-b', '384']],
  ['ecdsa 521', ['-b', '521']],
  ['rsa 2048', ['-b', '2048']],
  ['rsa 3072', ['-b', '3072']],
] as const

export type KeyFile = {
  readonly file: string
  /** `type base64`, without a comment. */
  readonly line: string
  readonly blob: Buffer
  readonly fingerprint: string
}

export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), 'headgate-signing-'))
  #count = 0

  close(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  file(content: string | Uint8Array): string {
    this.#count += 1
    const file = join(this.folder, `file-${this.#count}`)
    writeFileSync(file, content)
    return file
  }

  /** `kind` as in KEY_KINDS: type and, where there is a choice, bits. */
  key(kind = 'ed25519', ...options: string[]): KeyFile {
    const [type = '', bits] = kind.split(' ')
    this.#count += 1
    const file = join(this.folder, `key-${this.#count}`)
    const size = bits === undefined ? [] : ['-b', bits]
    run(['-q', '-t', type, ...size, '-N', '', '-C', '', '-f', file, ...options])
    return keyFile(file)
  }

  /** Certifies a key; the returned file is the certificate, whose private key lies beside it. */
  certificate(authority: KeyFile, key: KeyFile, ...options: string[]): KeyFile {
    run(['-q', '-s', authority.file, '-I', 'test', ...options, `${key.file}.pub`])
    return keyFile(`${key.file}-cert`)
  }

  /** The armor that ssh-keygen makes. */
  sign(keyFile: string, namespace: string, message: Uint8Array | string, ...options: string[]): string {
    return run(['-Y', 'sign', '-n', namespace, '-f', keyFile, ...options], message)
  }

  signBlob(keyFile: string, namespace: string, message: Uint8Array | string, ...options: string[]): Buffer {
    return dearmor(this.sign(keyFile, namespace, message, ...options))
  }

  /** Exit code 0 of `ssh-keygen -Y verify`. */
  verifies(input: {
    readonly allowed: string
    readonly principal: string
    readonly namespace: string
    readonly armor: string
    readonly message: Uint8Array | string
    readonly time?: string
  }): boolean {
    const time = input.time === undefined ? [] : ['-O', `verify-time=${input.time}`]
    const args = [
      '-Y',
      'verify',
      '-f',
      this.file(input.allowed),
      '-I',
      input.principal,
      '-n',
      input.namespace,
    ]
    return exitCode([...args, '-s', this.file(input.armor), ...time], input.message) === 0
  }

  /** What `ssh-keygen -Y check-novalidate` says: the signature alone. */
  signatureHolds(namespace: string, armor: string, message: Uint8Array | string): boolean {
    return exitCode(['-Y', 'check-novalidate', '-n', namespace, '-s', this.file(armor)], message) === 0
  }

  /** What `ssh-keygen -Y match-principals` says: does some line of the file have a pattern for the name? */
  principalMatches(allowed: string, principal: string): boolean {
    return exitCode(['-Y', 'match-principals', '-f', this.file(allowed), '-I', principal], '') === 0
  }

  findPrincipals(allowed: string, armor: string, time?: string): string[] {
    const option = time === undefined ? [] : ['-O', `verify-time=${time}`]
    const args = ['-Y', 'find-principals', '-f', this.file(allowed), '-s', this.file(armor), ...option]
    const result = spawnSync('ssh-keygen', args, { env: cleanEnv, encoding: 'utf8' })
    return result.status === 0 ? result.stdout.split('\n').filter((name) => name !== '') : []
  }
}

function keyFile(file: string): KeyFile {
  const [type, base64 = ''] = readFileSync(`${file}.pub`, 'utf8').split(' ')
  const fingerprint = run(['-l', '-f', `${file}.pub`]).split(' ')[1] ?? ''
  return { file, line: `${type} ${base64.trim()}`, blob: Buffer.from(base64, 'base64'), fingerprint }
}

function run(args: readonly string[], input: Uint8Array | string = ''): string {
  return execFileSync('ssh-keygen', args, {
    input,
    encoding: 'utf8',
    env: cleanEnv,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

function exitCode(args: readonly string[], input: Uint8Array | string): number | null {
  return spawnSync('ssh-keygen', args, { input, env: cleanEnv }).status
}

/** Flips one bit at a time: every neighbour of `bytes`. */
export function* bitFlips(bytes: Uint8Array): Generator<Buffer> {
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    yield flipped
  }
}

/** An SSHSIG blob of parts that nobody checks. */
export function sshsigBlob(parts: {
  readonly version?: number
  readonly publicKey: Uint8Array
  readonly namespace: string | Uint8Array
  readonly reserved?: string
  readonly hashAlgorithm?: string
  readonly signature: Uint8Array
}): Buffer {
  return Buffer.concat([
    Buffer.from('SSHSIG'),
    wireUint32(parts.version ?? 1),
    wireString(parts.publicKey),
    wireString(parts.namespace),
    wireString(parts.reserved ?? ''),
    wireString(parts.hashAlgorithm ?? 'sha512'),
    wireString(parts.signature),
  ])
}

/** What a signature covers. */
export function signedData(
  namespace: string,
  message: Uint8Array,
  hashAlgorithm = 'sha512',
  reserved = '',
): Buffer {
  return Buffer.concat([
    Buffer.from('SSHSIG'),
    wireString(namespace),
    wireString(reserved),
    wireString(hashAlgorithm),
    wireString(createHash(hashAlgorithm).update(message).digest()),
  ])
}

/** A hardware key made of a software key: nothing but the private half differs from what a real one does. */
export class SoftHardwareKey {
  readonly type: string
  readonly blob: Buffer
  readonly #key: KeyObject
  readonly #application: string

  constructor(kind: 'ed25519' | 'ecdsa', application = 'ssh:') {
    this.#application = application
    if (kind === 'ed25519') {
      this.type = 'sk-ssh-ed25519@openssh.com'
      this.#key = generateKeyPairSync('ed25519').privateKey
      const { x = '' } = createPublicKey(this.#key).export({ format: 'jwk' })
      this.blob = Buffer.concat([this.type, Buffer.from(x, 'base64url'), application].map(wireString))
    } else {
      this.type = 'sk-ecdsa-sha2-nistp256@openssh.com'
      this.#key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      const { x = '', y = '' } = createPublicKey(this.#key).export({ format: 'jwk' })
      const point = Buffer.concat([
        Buffer.from([4]),
        Buffer.from(x, 'base64url'),
        Buffer.from(y, 'base64url'),
      ])
      this.blob = Buffer.concat([this.type, 'nistp256', point, application].map(wireString))
    }
  }

  get line(): string {
    return `${this.type} ${this.blob.toString('base64')}`
  }

  sign(namespace: string, message: Uint8Array, flags = 1): Buffer {
    const state = Buffer.concat([Buffer.from([flags]), wireUint32(7)])
    const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()
    const data = Buffer.concat([sha256(this.#application), state, sha256(signedData(namespace, message))])
    const ed25519 = this.#key.asymmetricKeyType === 'ed25519'
    const raw = sign(ed25519 ? null : 'sha256', data, { key: this.#key, dsaEncoding: 'ieee-p1363' })
    const inner = ed25519 ? raw : Buffer.concat([wireMpint(raw.subarray(0, 32)), wireMpint(raw.subarray(32))])
    const signature = Buffer.concat([wireString(this.type), wireString(inner), state])
    return sshsigBlob({ publicKey: this.blob, namespace, signature })
  }
}
