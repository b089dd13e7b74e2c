import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { ed25519PublicKeyLine } from '../../src/signing/key-line.ts'
import { WireReader, wireMpint, wireString, wireUint32 } from '../../src/signing/ssh-wire.ts'
import {
  armor,
  createSshsig,
  dearmor,
  MAX_SIGNATURE_BYTES,
  parseSshsig,
  verifySshsig,
} from '../../src/signing/sshsig.ts'
import {
  bitFlips,
  KEY_KINDS,
  type KeyFile,
  SoftHardwareKey,
  signedData,
  sshsigBlob,
  Workshop,
} from './ssh-keygen.ts'

const message = Buffer.from('deploy 3f2c1ab\n')
let workshop: Workshop
const keys = new Map<string, KeyFile>()

beforeAll(() => {
  workshop = new Workshop()
  for (const [kind] of KEY_KINDS) keys.set(kind, workshop.key(kind))
})
afterAll(() => workshop.close())

function key(kind: string): KeyFile {
  const found = keys.get(kind)
  if (found === undefined) throw new Error(`no such key: ${kind}`)
  return found
}

/** False where it does not parse, too; anything but HeadgateError is thrown on. */
function holds(blob: Uint8Array): boolean {
  try {
    return verifySshsig(parseSshsig(blob), message)
  } catch (error) {
    if (error instanceof HeadgateError && error.code === 'data') return false
    throw error
  }
}

describe('a signature by ssh-keygen', () => {
  it.each(KEY_KINDS)('of a key of type %s verifies', (kind) => {
    for (const hash of ['sha512', 'sha256'] as const) {
      const blob = workshop.signBlob(key(kind).file, 'git', message, '-O', `hashalg=${hash}`)
      const parsed = parseSshsig(blob)
      expect(parsed).toMatchObject({
        namespace: 'git',
        hashAlgorithm: hash,
        fingerprint: key(kind).fingerprint,
      })
      expect(parsed.keyType).toBe(key(kind).line.split(' ')[0])
      expect(parsed.publicKey.equals(key(kind).blob)).toBe(true)
      expect(parsed.key.blob.equals(key(kind).blob)).toBe(true)
      expect(parsed.certificate).toBeUndefined()
      expect(verifySshsig(parsed, message)).toBe(true)
      expect(verifySshsig(parsed, Buffer.concat([message, Buffer.from(' ')]))).toBe(false)
      expect(verifySshsig(parsed, Buffer.alloc(0))).toBe(false)
    }
  })

  it.each(KEY_KINDS)('of a key of type %s does not verify with any bit flipped', (kind) => {
    const blob = workshop.signBlob(key(kind).file, 'git', message)
    expect(holds(blob)).toBe(true)
    let count = 0
    for (const flipped of bitFlips(blob)) {
      if (holds(flipped)) throw new Error(`verifies with bit ${count} flipped`)
      count += 1
    }
    expect(count).toBe(blob.length * 8)
  })

  it.each(KEY_KINDS)('of a key of type %s does not verify when it is cut or continued', (kind) => {
    const blob = workshop.signBlob(key(kind).file, 'git', message)
    for (let length = 0; length < blob.length; length += 1)
      expect(holds(blob.subarray(0, length))).toBe(false)
    expect(holds(Buffer.concat([blob, Buffer.alloc(1)]))).toBe(false)
    expect(holds(Buffer.concat([blob, blob]))).toBe(false)
  })

  it('has the armor that armor() makes', () => {
    for (const [kind] of KEY_KINDS) {
      const text = workshop.sign(key(kind).file, 'git', message)
      expect(armor(dearmor(text))).toBe(text)
    }
  })
})

describe('a signature by createSshsig', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')

  it('verifies here and with ssh-keygen', () => {
    const blob = createSshsig({ privateKey, namespace: 'headgate-ledger', message })
    expect(holds(blob)).toBe(true)
    const input = { principal: 'server', namespace: 'headgate-ledger', armor: armor(blob), message }
    const line = ed25519PublicKeyLine(publicKey, 'seal of app.git')
    expect(ed25519PublicKeyLine(privateKey, 'seal of app.git')).toBe(line)
    expect(line).toMatch(/^ssh-ed25519 AAAA[^ ]+ seal of app\.git$/)
    expect(workshop.verifies({ ...input, allowed: `server namespaces="headgate-*" ${line}\n` })).toBe(true)
    expect(workshop.verifies({ ...input, allowed: `server ${line}\n`, message: 'other' })).toBe(false)
    expect(workshop.verifies({ ...input, allowed: `server ${line}\n`, namespace: 'git' })).toBe(false)
  })

  it('is what ssh-keygen would have made', () => {
    const blob = workshop.signBlob(key('ed25519').file, 'git', message)
    const pem = createSshsig({ privateKey, namespace: 'git', message })
    expect(pem.length).toBe(blob.length)
    const again = createSshsig({ privateKey, namespace: 'git', message })
    expect(again.equals(pem)).toBe(true)
  })

  it('is refused for other keys and for a namespace that nobody accepts', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    expect(() => createSshsig({ privateKey: rsa, namespace: 'git', message })).toThrow(HeadgateError)
    expect(() => createSshsig({ privateKey, namespace: '', message })).toThrow(HeadgateError)
    expect(() => createSshsig({ privateKey, namespace: 'a\nb', message })).toThrow(HeadgateError)
    expect(() => ed25519PublicKeyLine(publicKey, 'a\nb ssh-ed25519 AAAA')).toThrow(HeadgateError)
  })
})

describe('a hardware key', () => {
  it.each(['ed25519', 'ecdsa'] as const)('of type %s verifies as with ssh-keygen, touched or not', (kind) => {
    for (const application of ['ssh:', 'ssh:headgate']) {
      const hardware = new SoftHardwareKey(kind, application)
      for (const flags of [0, 1, 4, 5, 255]) {
        const blob = hardware.sign('git', message, flags)
        expect(holds(blob)).toBe(true)
        expect(parseSshsig(blob).signature.presence).toEqual({ flags, counter: 7 })
        const allowed = `alice ${hardware.line}\n`
        const input = { allowed, principal: 'alice', namespace: 'git', armor: armor(blob) }
        expect(workshop.verifies({ ...input, message })).toBe(true)
        expect(workshop.verifies({ ...input, message: 'other' })).toBe(false)
      }
    }
  })

  it.each(['ed25519', 'ecdsa'] as const)('of type %s does not verify with any bit flipped', (kind) => {
    const blob = new SoftHardwareKey(kind).sign('git', message)
    for (const flipped of bitFlips(blob)) expect(holds(flipped)).toBe(false)
    for (let length = 0; length < blob.length; length += 1)
      expect(holds(blob.subarray(0, length))).toBe(false)
  })
})

/** Signs anything with anything. */
function forge(options: {
  privateKey: KeyObject
  publicKey: Buffer
  algorithm: string
  hash: string | null
  encode?: (raw: Buffer) => Buffer
}): Buffer {
  const { privateKey, publicKey, algorithm, hash, encode = (raw) => raw } = options
  const raw = sign(hash, signedData('git', message), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const signature = Buffer.concat([wireString(algorithm), wireString(encode(raw))])
  return sshsigBlob({ publicKey, namespace: 'git', signature })
}

function rsaBlob(privateKey: KeyObject): Buffer {
  const { e = '', n = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const numbers = [e, n].map((number) => wireMpint(Buffer.from(number, 'base64url')))
  return Buffer.concat([wireString('ssh-rsa'), ...numbers])
}

function p256(): { privateKey: KeyObject; point: Buffer; publicKey: Buffer } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
  const publicKey = Buffer.concat(['ecdsa-sha2-nistp256', 'nistp256', point].map(wireString))
  return { privateKey, point, publicKey }
}

const rs = (raw: Buffer) => {
  const half = raw.length / 2
  return Buffer.concat([wireMpint(raw.subarray(0, half)), wireMpint(raw.subarray(half))])
}

describe('RSA', () => {
  const rsa2048 = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

  it('verifies with SHA-256 and SHA-512, and not with SHA-1', () => {
    const publicKey = rsaBlob(rsa2048)
    const make = (algorithm: string, hash: string) =>
      forge({ privateKey: rsa2048, publicKey, algorithm, hash })
    expect(holds(make('rsa-sha2-512', 'sha512'))).toBe(true)
    expect(holds(make('rsa-sha2-256', 'sha256'))).toBe(true)
    expect(holds(make('rsa-sha2-256', 'sha512'))).toBe(false)
    const sha1 = make('ssh-rsa', 'sha1')
    expect(() => parseSshsig(sha1)).toThrow('RSA signature is not rsa-sha2')
    expect(workshop.signatureHolds('git', armor(sha1), message)).toBe(false)
    expect(() => parseSshsig(make('rsa-sha2-512-cert-v01@openssh.com', 'sha512'))).toThrow(HeadgateError)
  })

  it('needs 2048 bits', () => {
    for (const modulusLength of [1024, 2040, 2047]) {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength })
      const blob = forge({
        privateKey,
        publicKey: rsaBlob(privateKey),
        algorithm: 'rsa-sha2-512',
        hash: 'sha512',
      })
      expect(() => parseSshsig(blob)).toThrow(`RSA key has ${modulusLength} bits, at least 2048 are needed`)
    }
  })

  it('refuses keys that are no RSA keys', () => {
    const number = (size: number, fill = 0xff) => wireMpint(Buffer.alloc(size, fill))
    const one = wireMpint(Buffer.from([1]))
    const three = wireMpint(Buffer.from([3]))
    for (const [e, n] of [
      [one, number(256)],
      [wireMpint(Buffer.from([4])), number(256)],
      [three, number(256, 0xfe)],
      [three, number(2049)],
      [number(9), number(256)],
      [number(256), number(256)],
    ]) {
      const publicKey = Buffer.concat([wireString('ssh-rsa'), e ?? one, n ?? one])
      const signature = Buffer.concat([wireString('rsa-sha2-512'), wireString(Buffer.alloc(256, 1))])
      expect(() => parseSshsig(sshsigBlob({ publicKey, namespace: 'git', signature }))).toThrow(HeadgateError)
    }
  })

  it('wants a signature as long as the key', () => {
    const publicKey = rsaBlob(rsa2048)
    const make = (encode: (raw: Buffer) => Buffer) =>
      forge({ privateKey: rsa2048, publicKey, algorithm: 'rsa-sha2-512', hash: 'sha512', encode })
    expect(holds(make((raw) => raw))).toBe(true)
    expect(holds(make((raw) => Buffer.concat([Buffer.alloc(1), raw])))).toBe(false)
    expect(holds(make((raw) => raw.subarray(1)))).toBe(false)
    expect(holds(make(() => Buffer.alloc(256)))).toBe(false)
    expect(holds(make(() => Buffer.alloc(256, 0xff)))).toBe(false)
  })
})

describe('ECDSA', () => {
  const N = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
  const { privateKey, point, publicKey } = p256()
  const make = (encode: (raw: Buffer) => Buffer, key = publicKey) =>
    forge({ privateKey, publicKey: key, algorithm: 'ecdsa-sha2-nistp256', hash: 'sha256', encode })

  it('verifies what it should', () => {
    expect(holds(make(rs))).toBe(true)
    expect(workshop.signatureHolds('git', armor(make(rs)), message)).toBe(true)
  })

  it('refuses r and s out of range or padded', () => {
    const zero = wireString('')
    const [r, s] = [
      (raw: Buffer) => wireMpint(raw.subarray(0, 32)),
      (raw: Buffer) => wireMpint(raw.subarray(32)),
    ]
    const plusN = (bytes: Buffer) => {
      const sum = BigInt(`0x${bytes.toString('hex')}`) + BigInt(`0x${N.toString('hex')}`)
      return wireMpint(Buffer.from(sum.toString(16).padStart(66, '0'), 'hex'))
    }
    const padded = (bytes: Buffer) => wireString(Buffer.concat([Buffer.alloc(2), bytes]))
    const cases: ((raw: Buffer) => Buffer[])[] = [
      (raw) => [zero, s(raw)],
      (raw) => [r(raw), zero],
      (raw) => [wireMpint(N), s(raw)],
      (raw) => [r(raw), wireMpint(N)],
      (raw) => [plusN(raw.subarray(0, 32)), s(raw)],
      (raw) => [r(raw), plusN(raw.subarray(32))],
      (raw) => [padded(raw.subarray(0, 32)), s(raw)],
      (raw) => [r(raw), padded(raw.subarray(32))],
      (raw) => [r(raw), s(raw), wireString('')],
      (raw) => [r(raw)],
      () => [],
      (raw) => [s(raw), r(raw)],
    ]
    for (const encode of cases) expect(holds(make((raw) => Buffer.concat(encode(raw))))).toBe(false)
  })

  it('refuses points that are not on the curve, compressed, at infinity or of another curve', () => {
    const off = Buffer.from(point)
    off[64] = (off[64] ?? 0) ^ 1
    const compressed = Buffer.concat([Buffer.from([2 + ((point[64] ?? 0) & 1)]), point.subarray(1, 33)])
    const beyond = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 0xff)])
    for (const other of [off, compressed, beyond, Buffer.from([0]), Buffer.alloc(65), Buffer.alloc(0)]) {
      const key = Buffer.concat(['ecdsa-sha2-nistp256', 'nistp256', other].map(wireString))
      expect(() => parseSshsig(make(rs, key))).toThrow(HeadgateError)
    }
    for (const [type, curve] of [
      ['ecdsa-sha2-nistp256', 'nistp384'],
      ['ecdsa-sha2-nistp384', 'nistp256'],
      ['ecdsa-sha2-nistp384', 'nistp384'],
    ]) {
      const key = Buffer.concat([type ?? '', curve ?? '', point].map(wireString))
      expect(() => parseSshsig(make(rs, key))).toThrow(HeadgateError)
    }
  })
})

describe('parseSshsig refuses', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const good = createSshsig({ privateKey, namespace: 'git', message })
  const reader = new WireReader(good)
  reader.bytes(10)
  const publicKey = reader.string()
  reader.string()
  reader.string()
  reader.string()
  const signature = reader.string()
  const make = (parts: Partial<Parameters<typeof sshsigBlob>[0]>) =>
    sshsigBlob({ publicKey, namespace: 'git', signature, ...parts })

  it('nothing that is as it should be', () => {
    expect(make({}).equals(good)).toBe(true)
    expect(holds(good)).toBe(true)
  })

  it.each([
    ['version 0', { version: 0 }],
    ['version 2', { version: 2 }],
    ['an empty namespace', { namespace: '' }],
    ['a namespace with a NUL, which ssh-keygen takes for one without', { namespace: 'git\0' }],
    ['a huge namespace', { namespace: 'x'.repeat(256) }],
    ['a reserved field, which ssh-keygen ignores and nothing signs', { reserved: 'x' }],
    ['sha1', { hashAlgorithm: 'sha1' }],
    ['md5', { hashAlgorithm: 'md5' }],
    ['sha384', { hashAlgorithm: 'sha384' }],
    ['SHA512', { hashAlgorithm: 'SHA512' }],
    ['a hash algorithm with a name from JavaScript', { hashAlgorithm: 'constructor' }],
    ['an empty key', { publicKey: Buffer.alloc(0) }],
    ['an unknown key type', { publicKey: wireString('ssh-ed448') }],
    ['a key type from JavaScript', { publicKey: wireString('__proto__') }],
    [
      'a certificate type without its certificate',
      { publicKey: wireString('ssh-ed25519-cert-v01@openssh.com') },
    ],
    ['a key with trailing bytes', { publicKey: Buffer.concat([publicKey, Buffer.alloc(1)]) }],
    ['a short key', { publicKey: Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.alloc(31))]) }],
    ['an empty signature', { signature: Buffer.alloc(0) }],
    ['a signature with trailing bytes', { signature: Buffer.concat([signature, Buffer.alloc(1)]) }],
    [
      'a signature of another type',
      { signature: Buffer.concat([wireString('ssh-rsa'), wireString(Buffer.alloc(64))]) },
    ],
    [
      'an Ed25519 signature of 63 bytes',
      { signature: Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.alloc(63))]) },
    ],
  ])('%s', (_, parts) => {
    const blob = make(parts)
    expect(() => parseSshsig(blob)).toThrow(HeadgateError)
    expect(() => parseSshsig(blob)).toThrow(expect.objectContaining({ code: 'data' }))
  })

  it('lengths that lie', () => {
    // Every uint32 in the blob, made huge.
    for (const length of [0xffffffff, 0x80000000, 0x7fffffff, MAX_SIGNATURE_BYTES]) {
      for (let offset = 6; offset + 4 <= good.length; offset += 1) {
        const blob = Buffer.from(good)
        wireUint32(length).copy(blob, offset)
        expect(holds(blob)).toBe(false)
      }
    }
    expect(() => parseSshsig(Buffer.alloc(MAX_SIGNATURE_BYTES + 1))).toThrow('too large')
  })

  it('DSA keys', () => {
    const { privateKey, publicKey } = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 })
    expect(publicKey.asymmetricKeyType).toBe('dsa')
    const blob = Buffer.concat([
      wireString('ssh-dss'),
      ...[1, 2, 3, 4].map((n) => wireMpint(Buffer.from([n]))),
    ])
    const forged = forge({ privateKey, publicKey: blob, algorithm: 'ssh-dss', hash: 'sha1' })
    expect(() => parseSshsig(forged)).toThrow('key type "ssh-dss" is not supported')
  })

  it('a signature whose reserved field was signed', () => {
    const raw = sign(null, signedData('git', message, 'sha512', 'x'), privateKey)
    const signature = Buffer.concat([wireString('ssh-ed25519'), wireString(raw)])
    expect(holds(make({ reserved: 'x', signature }))).toBe(false)
  })

  it('a hash that the blob does not name', () => {
    expect(holds(make({ hashAlgorithm: 'sha256' }))).toBe(false)
  })

  it('an Ed25519 signature with the order added to s', () => {
    const L = 2n ** 252n + 27742317777372353535851937790883648493n
    const raw = Buffer.from(signature.subarray(-64))
    const s = BigInt(`0x${Buffer.from(raw.subarray(32)).reverse().toString('hex')}`) + L
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse().copy(raw, 32)
    const malleated = Buffer.concat([wireString('ssh-ed25519'), wireString(raw)])
    expect(holds(make({ signature: malleated }))).toBe(false)
  })
})

describe('dearmor', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const blob = createSshsig({ privateKey, namespace: 'git', message })
  const text = armor(blob)

  it('reads the armor, with or without the last line end and at any width', () => {
    expect(dearmor(text).equals(blob)).toBe(true)
    expect(dearmor(text.trimEnd()).equals(blob)).toBe(true)
    const lines = text.split('\n')
    const narrow = [lines[0], ...blob.toString('base64').split(''), ...lines.slice(-2)].join('\n')
    expect(dearmor(narrow).equals(blob)).toBe(true)
  })

  it('refuses CRLF as ssh-keygen does', () => {
    const crlf = text.replaceAll('\n', '\r\n')
    expect(() => dearmor(crlf)).toThrow(HeadgateError)
    expect(workshop.signatureHolds('git', crlf, message)).toBe(false)
    expect(workshop.signatureHolds('git', text, message)).toBe(true)
  })

  it.each([
    ['nothing', ''],
    ['only the frame', '-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n'],
    ['no end', text.slice(0, -10)],
    ['text before it', ` ${text}`],
    ['text after it', `${text}x`],
    ['two line ends after it', `${text}\n`],
    ['two signatures', text + text],
    ['a space in the body', text.replace('U1NI', 'U1 NI')],
    ['a tab in the body', text.replace('U1NI', 'U1NI\t')],
    ['another kind of armor', text.replaceAll('SSH', 'PGP')],
    ['URL-safe base64', armor(Buffer.alloc(60, 0xff)).replaceAll('/', '_')],
    ['a missing padding', text.replace(/=+\n/, '\n')],
    ['too much padding', text.replace(/\n-----END/, '====\n-----END')],
    ['a megabyte', armor(Buffer.alloc(1_000_000))],
  ])('refuses %s', (_, bad) => {
    if (bad === text) return // This signature happens to need no padding.
    expect(() => dearmor(bad)).toThrow(HeadgateError)
  })

  it('never yields a blob that verifies when a bit of the text is flipped', () => {
    for (const flipped of bitFlips(Buffer.from(text))) {
      let other: Buffer
      try {
        other = dearmor(flipped.toString('latin1'))
      } catch (error) {
        expect(error).toBeInstanceOf(HeadgateError)
        continue
      }
      expect(holds(other)).toBe(false)
    }
  })
})

it('a message of some megabytes verifies', () => {
  const large = Buffer.alloc(5_000_000, 7)
  const { privateKey } = generateKeyPairSync('ed25519')
  const blob = createSshsig({ privateKey, namespace: 'git', message: large })
  expect(verifySshsig(parseSshsig(blob), large)).toBe(true)
  expect(verifySshsig(parseSshsig(blob), large.subarray(1))).toBe(false)
})
