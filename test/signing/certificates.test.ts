import { sign as cryptoSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { parseAllowedSigners, verifyBy } from '../../src/signing/allowed-signers.ts'
import { ed25519PublicKeyLine } from '../../src/signing/key-line.ts'
import { certifiedKeyType, parseCertificate } from '../../src/signing/ssh-certificate.ts'
import { wireString, wireUint32 } from '../../src/signing/ssh-wire.ts'
import { armor, parseSshsig } from '../../src/signing/sshsig.ts'
import { bitFlips, type KeyFile, signedData, sshsigBlob, Workshop } from './ssh-keygen.ts'

const message = Buffer.from('deploy 3f2c1ab\n')
const noon = Date.UTC(2026, 5, 15, 12)
const NOON = '20260615120000Z'

let workshop: Workshop
let authority: KeyFile
beforeAll(() => {
  workshop = new Workshop()
  authority = workshop.key()
})
afterAll(() => workshop.close())

/** Our verdict and ssh-keygen's on a signature with a certificate that ssh-keygen made. */
function compare(options: string[], principal = 'alice', allowed = 'a*') {
  const key = workshop.key()
  const file = `${workshop.certificate(authority, key, ...options).file}.pub`
  const text = `${allowed} cert-authority ${authority.line}\n`
  const armored = workshop.sign(file, 'git', message)
  const theirs = workshop.verifies({
    allowed: text,
    principal,
    namespace: 'git',
    armor: armored,
    message,
    time: NOON,
  })
  const signature = parseSshsig(workshop.signBlob(file, 'git', message))
  const ours = verifyBy(parseAllowedSigners(text).signers, { signature, message, namespace: 'git', at: noon })
  return { ours, theirs, signature }
}

describe('a certificate', () => {
  it('names the signer', () => {
    const { ours, theirs, signature } = compare(['-n', 'alice,bob', '-z', '42'])
    expect(theirs).toBe(true)
    expect(ours).toMatchObject({ verdict: 'trusted', principal: 'alice' })
    expect(signature.keyType).toBe('ssh-ed25519-cert-v01@openssh.com')
    expect(signature.certificate).toMatchObject({
      serial: 42n,
      keyId: 'test',
      kind: 'user',
      principals: ['alice', 'bob'],
      criticalOptions: [],
    })
    expect(signature.certificate?.authority.blob.equals(authority.blob)).toBe(true)
  })

  it('names the first of its principals that the line allows', () => {
    expect(compare(['-n', 'zoe,anna,alice']).ours).toMatchObject({ principal: 'anna' })
    expect(compare(['-n', 'zoe,anna,alice'], 'alice', 'a*,!anna').ours).toMatchObject({ principal: 'alice' })
  })

  it('without an allowed principal is nobody', () => {
    const reason = 'the line allows none of the principals of the certificate (line 1)'
    expect(compare(['-n', 'zoe'])).toMatchObject({ ours: { verdict: 'unknown-key', reason }, theirs: false })
  })

  it('without principals is nobody', () => {
    expect(compare([])).toMatchObject({ ours: { verdict: 'unknown-key' }, theirs: false })
  })

  it('with a principal that looks like a pattern is nobody by it', () => {
    expect(compare(['-n', 'a*'], 'a*').ours.verdict).toBe('unknown-key')
    expect(compare(['-n', 'a*,alice']).ours).toMatchObject({ principal: 'alice' })
  })

  it.each([
    ['20260615120000Z:20260615120001Z', 'trusted', true],
    ['20260615120001Z:20260616Z', 'not-yet-valid-key', false],
    ['20260101Z:20260615120000Z', 'expired-key', false],
    ['20260101Z:20260615115959Z', 'expired-key', false],
    ['always:20270101Z', 'trusted', true],
    ['20260101Z:forever', 'trusted', true],
    ['always:forever', 'trusted', true],
  ])('that is valid %s is %s', (validity, verdict, accepted) => {
    expect(compare(['-n', 'alice', '-V', validity])).toMatchObject({ ours: { verdict }, theirs: accepted })
  })

  it('for a host is refused', () => {
    expect(compare(['-h', '-n', 'alice'])).toMatchObject({
      ours: { verdict: 'unknown-key', reason: 'the certificate is for a host, not for a person (line 1)' },
      theirs: false,
    })
  })

  it.each(['source-address=10.0.0.0/8', 'force-command=true', 'verify-required', 'critical:x@example.com=y'])(
    'with the critical option %s is refused, which ssh-keygen does not do',
    (option) => {
      const { ours, theirs } = compare(['-n', 'alice', '-O', option])
      expect(ours).toMatchObject({
        verdict: 'unknown-key',
        reason: expect.stringContaining('critical option'),
      })
      expect(theirs).toBe(true)
    },
  )

  it('with extensions is accepted', () => {
    const options = ['-n', 'alice', '-O', 'clear', '-O', 'extension:x@example.com=y', '-O', 'permit-pty']
    expect(compare(options)).toMatchObject({ ours: { verdict: 'trusted' }, theirs: true })
  })

  it('by an RSA authority needs SHA-2', () => {
    const rsa = workshop.key('rsa 2048')
    const allowed = `alice cert-authority ${rsa.line}\n`
    const make = (...options: string[]) => {
      const file = `${workshop.certificate(rsa, workshop.key(), '-n', 'alice', ...options).file}.pub`
      return workshop.signBlob(file, 'git', message)
    }
    const at = { message, namespace: 'git', at: noon }
    for (const type of ['rsa-sha2-256', 'rsa-sha2-512']) {
      const signature = parseSshsig(make('-t', type))
      expect(verifyBy(parseAllowedSigners(allowed).signers, { signature, ...at })).toMatchObject({
        principal: 'alice',
      })
    }
    const sha1 = make('-t', 'ssh-rsa')
    expect(() => parseSshsig(sha1)).toThrow('RSA signature is not rsa-sha2')
  })

  it('cannot be an authority', () => {
    const inner = workshop.certificate(authority, workshop.key(), '-n', 'alice')
    const { problems } = parseAllowedSigners(`alice cert-authority ${inner.line}\n`)
    expect(problems).toHaveLength(1)
    expect(problems[0]?.message).toContain('the key is a certificate')
  })

  it('is judged by the authority that made it, not by one that it names', () => {
    const rogue = workshop.key()
    const file = workshop.certificate(rogue, workshop.key(), '-n', 'alice').file
    const blob = workshop.signBlob(`${file}.pub`, 'git', message)
    const forged = Buffer.from(blob)
    authority.blob.copy(forged, blob.indexOf(rogue.blob))
    const signers = parseAllowedSigners(`alice cert-authority ${authority.line}\n`).signers
    const verdict = (bytes: Buffer) =>
      verifyBy(signers, { signature: parseSshsig(bytes), message, namespace: 'git', at: noon }).verdict
    expect(verdict(blob)).toBe('unknown-key')
    expect(verdict(forged)).toBe('bad-signature')
  })

  it('is refused when it is cut, continued, or a bit is flipped', () => {
    const { blob } = workshop.certificate(authority, workshop.key('ecdsa 256'), '-n', 'alice')
    expect(parseCertificate(blob).principals).toEqual(['alice'])
    for (let length = 0; length < blob.length; length += 1) {
      expect(() => parseCertificate(blob.subarray(0, length))).toThrow(HeadgateError)
    }
    expect(() => parseCertificate(Buffer.concat([blob, Buffer.alloc(1)]))).toThrow(HeadgateError)
    for (const flipped of bitFlips(blob)) {
      try {
        parseCertificate(flipped)
      } catch (error) {
        expect(error).toBeInstanceOf(HeadgateError)
      }
    }
  })
})

it('a key type has a certificate type and back', () => {
  expect(certifiedKeyType('ssh-ed25519-cert-v01@openssh.com')).toBe('ssh-ed25519')
  expect(certifiedKeyType('ecdsa-sha2-nistp521-cert-v01@openssh.com')).toBe('ecdsa-sha2-nistp521')
  expect(certifiedKeyType('sk-ssh-ed25519-cert-v01@openssh.com')).toBe('sk-ssh-ed25519@openssh.com')
  expect(certifiedKeyType('sk-ecdsa-sha2-nistp256-cert-v01@openssh.com')).toBe(
    'sk-ecdsa-sha2-nistp256@openssh.com',
  )
  for (const type of [
    'ssh-ed25519',
    'ssh-dss-cert-v01@openssh.com',
    '-cert-v01@openssh.com',
    'constructor',
    '',
  ]) {
    expect(certifiedKeyType(type)).toBeUndefined()
  }
})

describe('a certificate made by hand', () => {
  const ca = generateKeyPairSync('ed25519').privateKey
  const user = generateKeyPairSync('ed25519').privateKey
  const blobOf = (key: KeyObject) => Buffer.from(ed25519PublicKeyLine(key, '').split(' ')[1] ?? '', 'base64')
  const uint64 = (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigUInt64BE(value)
    return bytes
  }
  const signature = (key: KeyObject, data: Buffer) =>
    Buffer.concat([wireString('ssh-ed25519'), wireString(cryptoSign(null, data, key))])

  function make(parts: { principals?: string[]; kind?: number; raw?: Buffer; authority?: Buffer } = {}) {
    const body = Buffer.concat([
      wireString('ssh-ed25519-cert-v01@openssh.com'),
      wireString('nonce'),
      blobOf(user).subarray(15),
      uint64(0n),
      wireUint32(parts.kind ?? 1),
      wireString('id'),
      wireString(parts.raw ?? Buffer.concat((parts.principals ?? ['alice']).map(wireString))),
      uint64(0n),
      uint64(2n ** 64n - 1n),
      wireString(''),
      wireString(''),
      wireString(''),
      wireString(parts.authority ?? blobOf(ca)),
    ])
    const publicKey = Buffer.concat([body, wireString(signature(ca, body))])
    return sshsigBlob({ publicKey, namespace: 'git', signature: signature(user, signedData('git', message)) })
  }
  const verdict = (blob: Buffer) => {
    const { signers } = parseAllowedSigners(`* cert-authority ${ed25519PublicKeyLine(ca, '')}`)
    return verifyBy(signers, { signature: parseSshsig(blob), message, namespace: 'git', at: noon })
  }

  it('verifies here and with ssh-keygen', () => {
    expect(verdict(make())).toMatchObject({ verdict: 'trusted', principal: 'alice' })
    const allowed = `* cert-authority ${ed25519PublicKeyLine(ca, '')}\n`
    const asked = { allowed, principal: 'alice', namespace: 'git', armor: armor(make()), message }
    expect(workshop.verifies(asked)).toBe(true)
  })

  it('is refused with an unknown kind, a certificate as authority or too many principals', () => {
    expect(() => parseSshsig(make({ kind: 3 }))).toThrow(HeadgateError)
    expect(() => parseSshsig(make({ kind: 0 }))).toThrow(HeadgateError)
    const many = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`)
    expect(verdict(make({ principals: many(256) })).verdict).toBe('trusted')
    expect(() => parseSshsig(make({ principals: many(257) }))).toThrow('more than 256 principals')
    const certificate = parseSshsig(make()).publicKey
    expect(() => parseSshsig(make({ authority: certificate }))).toThrow(HeadgateError)
  })

  it('is refused with principals that are no names', () => {
    expect(() => parseSshsig(make({ raw: Buffer.from('alice') }))).toThrow(HeadgateError)
    expect(() => parseSshsig(make({ principals: ['alice\0'] }))).toThrow(HeadgateError)
    expect(() => parseSshsig(make({ principals: ['a\nb'] }))).toThrow(HeadgateError)
    expect(verdict(make({ principals: ['', '!alice', 'a?ice', 'a\u202elice'] })).verdict).toBe('unknown-key')
  })
})
