import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { parseEnvelope, preAuthEncoding } from '../../src/signing/dsse.ts'
import { parseSignatures, verifyEnvelope } from '../../src/signing/envelope-verify.ts'
import { ed25519PublicKeyLine } from '../../src/signing/key-line.ts'
import { createSshsig, parseSshsig } from '../../src/signing/sshsig.ts'
import { bitFlips } from './ssh-keygen.ts'

const now = Date.UTC(2026, 5, 15, 12)
const payloadType = 'application/vnd.in-toto+json'
const payload = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}')
const [alice, bob, eve] = [0, 1, 2].map(() => generateKeyPairSync('ed25519').privateKey) as [
  KeyObject,
  KeyObject,
  KeyObject,
]

const signers = parseAllowedSigners(
  `alice namespaces="headgate-approval,git" ${ed25519PublicKeyLine(alice, '')}
   bob namespaces="headgate-evidence" ${ed25519PublicKeyLine(bob, '')}
   bob valid-before="20200101Z",namespaces="headgate-approval" ${ed25519PublicKeyLine(bob, '')}`,
).signers

function signature(
  privateKey: KeyObject,
  namespace = 'headgate-approval',
  message = preAuthEncoding(payloadType, payload),
) {
  const blob = createSshsig({ privateKey, namespace, message })
  return { keyid: parseSshsig(blob).fingerprint, sig: blob.toString('base64') }
}

function envelope(...signatures: Envelope['signatures'][number][]): Envelope {
  return { payloadType, payload: payload.toString('base64'), signatures }
}

const verify = (one: Envelope, namespace: string | readonly string[] = 'headgate-approval') =>
  verifyEnvelope(parseSignatures(one), signers, namespace, now)

describe('verifyEnvelope', () => {
  it('trusts one good signature', () => {
    const { keyid } = signature(alice)
    expect(verify(envelope(signature(alice)))).toEqual({
      trust: { verdict: 'trusted', principal: 'alice', fingerprint: keyid },
      others: [],
    })
  })

  it('trusts in any of the namespaces', () => {
    const both = ['headgate-evidence', 'headgate-approval']
    expect(verify(envelope(signature(bob, 'headgate-evidence')), both).trust).toMatchObject({
      principal: 'bob',
    })
    expect(verify(envelope(signature(alice)), both).trust).toMatchObject({ principal: 'alice' })
    expect(verify(envelope(signature(alice, 'git')), both).trust.verdict).toBe('wrong-namespace')
  })

  it('does not mind the keyid', () => {
    const { keyid } = signature(bob)
    for (const hint of [keyid, '', 'nonsense']) {
      expect(verify(envelope({ ...signature(alice), keyid: hint })).trust).toMatchObject({
        principal: 'alice',
      })
    }
    expect(verify(envelope({ sig: signature(alice).sig })).trust.verdict).toBe('trusted')
    expect(verify(envelope({ sig: signature(eve).sig, keyid: signature(alice).keyid })).trust.verdict).toBe(
      'unknown-key',
    )
  })

  it('finds the trusted signature among others, and tells about those', () => {
    const result = verify(envelope(signature(eve), { sig: 'AAAA' }, signature(alice), signature(bob)))
    expect(result.trust).toMatchObject({ verdict: 'trusted', principal: 'alice' })
    expect(result.others.map((one) => one.verdict)).toEqual(['unknown-key', 'malformed', 'expired-key'])
  })

  it('gives the most telling objection when it trusts none', () => {
    const forged = signature(alice, 'headgate-approval', Buffer.from('other'))
    const verdictOf = (...all: Envelope['signatures'][number][]) => verify(envelope(...all)).trust.verdict
    expect(verdictOf(signature(eve), { sig: 'AAAA' })).toBe('malformed')
    expect(verdictOf(signature(eve), signature(alice, 'git'))).toBe('wrong-namespace')
    expect(verdictOf(signature(bob), signature(alice, 'git'))).toBe('expired-key')
    expect(verdictOf(signature(bob), forged, signature(eve))).toBe('bad-signature')
    expect(verdictOf()).toBe('malformed')
  })

  it('refuses two signatures by one key, good or not', () => {
    const reason = 'the envelope has two signatures by the same key'
    const expected = {
      trust: { verdict: 'malformed', fingerprint: signature(alice).keyid, reason },
      others: [],
    }
    expect(verify(envelope(signature(alice), signature(alice)))).toEqual(expected)
    expect(verify(envelope(signature(alice), signature(bob), signature(alice, 'git')))).toEqual(expected)
  })

  it('checks the payload type and the payload', () => {
    const good = envelope(signature(alice))
    const other = Buffer.from(`${payload} `).toString('base64')
    expect(verify({ ...good, payload: other }).trust.verdict).toBe('bad-signature')
    expect(verify({ ...good, payloadType: 'text/plain' }).trust.verdict).toBe('bad-signature')
    expect(() => verify({ ...good, payload: 'e31=' })).toThrow('not base64')
  })

  it('trusts no envelope with a flipped bit, but for the keyid that nobody trusts', () => {
    const good = envelope(signature(alice))
    const text = Buffer.from(JSON.stringify(good))
    const { sig } = good.signatures[0] ?? { sig: '' }
    for (const flipped of bitFlips(text)) {
      let changed: Envelope
      try {
        changed = parseEnvelope(flipped)
      } catch (error) {
        expect(error).toMatchObject({ name: 'HeadgateError', code: 'data' })
        continue
      }
      const { trust } = verify(changed)
      if (trust.verdict !== 'trusted') continue
      // Nothing else may have changed.
      const [only, ...more] = changed.signatures
      expect({ ...changed, signatures: [{ keyid: good.signatures[0]?.keyid, sig: only?.sig }] }).toEqual(good)
      expect([only?.sig, more]).toEqual([sig, []])
    }
  })
})
