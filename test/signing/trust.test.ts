import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AllowedSigner,
  parseAllowedSigners,
  type Trust,
  verifyBy,
} from '../../src/signing/allowed-signers.ts'
import { armor, parseSshsig } from '../../src/signing/sshsig.ts'
import { bitFlips, KEY_KINDS, type KeyFile, sshsigBlob, Workshop } from './ssh-keygen.ts'

const message = Buffer.from('deploy 3f2c1ab\n')
const noon = Date.UTC(2026, 5, 15, 12)
const NOON = '20260615120000Z'

let workshop: Workshop
let alice: KeyFile
let bob: KeyFile
let authority: KeyFile
let certificate: KeyFile

beforeAll(() => {
  workshop = new Workshop()
  alice = workshop.key()
  bob = workshop.key('ecdsa 256')
  authority = workshop.key()
  certificate = workshop.certificate(authority, alice, '-n', 'alice@example.com')
})
afterAll(() => workshop.close())

/** `<alice>` stands for her key. */
function fill(text: string): string {
  return text
    .replaceAll('<alice>', alice.line)
    .replaceAll('<bob>', bob.line)
    .replaceAll('<ca>', authority.line)
}

/** An accepted file. */
function signersOf(text: string): AllowedSigner[] {
  const { signers, problems } = parseAllowedSigners(fill(text))
  expect(problems).toEqual([])
  return signers
}

function judge(text: string, blob: Uint8Array, namespace: string | string[] = 'git', at = noon): Trust {
  return verifyBy(signersOf(text), { signature: parseSshsig(blob), message, namespace, at })
}

describe('verifyBy and ssh-keygen -Y verify', () => {
  // The file; who signs; for whom ssh-keygen is asked; our verdict ('problem': the file is refused); its verdict.
  const table: [string, 'alice' | 'bob' | 'certificate', string, string, boolean][] = [
    ['alice <alice>', 'alice', 'alice', 'trusted', true],
    ['alice <alice>', 'bob', 'alice', 'unknown-key', false],
    ['alice <bob>', 'alice', 'alice', 'unknown-key', false],
    ['alice <bob>\nbob <alice>', 'alice', 'bob', 'trusted', true],
    ['alice,alice@example.com <alice>', 'alice', 'alice', 'trusted', true],
    ['"alice,alice@example.com" <alice>', 'alice', 'alice', 'trusted', true],
    ['  alice\t<alice>\tcomment', 'alice', 'alice', 'trusted', true],
    ['alice <alice>\r', 'alice', 'alice', 'trusted', true],
    ['# alice <alice>', 'alice', 'alice', 'unknown-key', false],
    ['', 'alice', 'alice', 'unknown-key', false],
    ['a*,alice <alice>', 'alice', 'alice', 'trusted', true],
    ['!bob,alice <alice>', 'alice', 'alice', 'trusted', true],
    ['alice namespaces="git" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice NAMESPACES="git" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice namespaces="file,git" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice namespaces="g*" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice namespaces="*" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice namespaces="gi?" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice namespaces="GIT" <alice>', 'alice', 'alice', 'wrong-namespace', false],
    ['alice namespaces="gi" <alice>', 'alice', 'alice', 'wrong-namespace', false],
    ['alice namespaces="git?" <alice>', 'alice', 'alice', 'wrong-namespace', false],
    ['alice namespaces="*,!git" <alice>', 'alice', 'alice', 'wrong-namespace', false],
    ['alice namespaces="!git,*" <alice>', 'alice', 'alice', 'wrong-namespace', false],
    ['alice namespaces="file" <alice>\nalice namespaces="git" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-after="20260615120000Z" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-after="20260615120001Z" <alice>', 'alice', 'alice', 'not-yet-valid-key', false],
    ['alice valid-after="202606151200Z" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-after="202606151201Z" <alice>', 'alice', 'alice', 'not-yet-valid-key', false],
    ['alice valid-after="20260615Z" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-after="20260616Z" <alice>', 'alice', 'alice', 'not-yet-valid-key', false],
    ['alice valid-after="20260615" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-before="20260615120000Z" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-before="20260615115959Z" <alice>', 'alice', 'alice', 'expired-key', false],
    ['alice valid-before="20260616Z" <alice>', 'alice', 'alice', 'trusted', true],
    ['alice valid-before="20260615Z" <alice>', 'alice', 'alice', 'expired-key', false],
    ['alice valid-after="20260101Z",valid-before="20270101Z" <alice>', 'alice', 'alice', 'trusted', true],
    [
      'alice valid-before="20260101Z" <alice>\nalice valid-after="20260101Z" <alice>',
      'alice',
      'alice',
      'trusted',
      true,
    ],
    ['alice cert-authority <alice>', 'alice', 'alice', 'unknown-key', false],
    ['alice cert-authority <alice>\nalice <alice>', 'alice', 'alice', 'trusted', true],
    ['*@example.com cert-authority <ca>', 'certificate', 'alice@example.com', 'trusted', true],
    ['* Cert-Authority <ca>', 'certificate', 'alice@example.com', 'trusted', true],
    ['alice@example.com cert-authority <ca>', 'certificate', 'alice@example.com', 'trusted', true],
    ['bob@example.com cert-authority <ca>', 'certificate', 'bob@example.com', 'unknown-key', false],
    ['*,!alice@* cert-authority <ca>', 'certificate', 'alice@example.com', 'unknown-key', false],
    ['alice@example.com <ca>', 'certificate', 'alice@example.com', 'unknown-key', false],
    ['alice@example.com <alice>', 'certificate', 'alice@example.com', 'unknown-key', false],
    ['* cert-authority <alice>', 'certificate', 'alice@example.com', 'unknown-key', false],
    ['* cert-authority,namespaces="git" <ca>', 'certificate', 'alice@example.com', 'trusted', true],
    ['* cert-authority,namespaces="file" <ca>', 'certificate', 'alice@example.com', 'wrong-namespace', false],
    ['* namespaces="git",cert-authority <ca>', 'certificate', 'alice@example.com', 'trusted', true],
    [
      '* cert-authority,valid-before="20260101Z" <ca>',
      'certificate',
      'alice@example.com',
      'expired-key',
      false,
    ],
    [
      '* cert-authority,valid-after="20260616Z" <ca>',
      'certificate',
      'alice@example.com',
      'not-yet-valid-key',
      false,
    ],
    // Lines that ssh-keygen skips, so that another line may match, make the file a problem here.
    ['alice nonsense <bob>\nalice <alice>', 'alice', 'alice', 'problem', true],
    ['alice ssh-ed25519 AAAA\nalice <alice>', 'alice', 'alice', 'problem', true],
    ['alice namespaces="git"x <alice>', 'alice', 'alice', 'problem', false],
    ['alice namespaces=git <alice>', 'alice', 'alice', 'problem', false],
    ['alice namespaces="git",namespaces="git" <alice>', 'alice', 'alice', 'problem', false],
    ['alice valid-after="20270101Z",valid-before="20260101Z" <alice>', 'alice', 'alice', 'problem', false],
    ['alice valid-after=20260101Z <alice>', 'alice', 'alice', 'problem', false],
    ['alice unknown <alice>', 'alice', 'alice', 'problem', false],
    ['alice namespaces="" <alice>', 'alice', 'alice', 'problem', false],
    ['alice namespaces="!file" <alice>', 'alice', 'alice', 'problem', false],
    ['!bob <alice>', 'alice', 'alice', 'problem', false],
    ['alice,!al* <alice>', 'alice', 'alice', 'problem', false],
    ['"alice <alice>', 'alice', 'alice', 'problem', false],
    // Accepted by ssh-keygen, refused here: see the comment of allowed-signers.ts.
    ['* <alice>', 'alice', 'alice', 'problem', true],
    ['a* <alice>', 'alice', 'alice', 'problem', true],
    ['alice cert-authority,cert-authority <alice>\nalice <alice>', 'alice', 'alice', 'problem', true],
    ['alice valid-after="20260101z" <alice>', 'alice', 'alice', 'problem', true],
    ['alice valid-before="20270230Z" <alice>', 'alice', 'alice', 'problem', true],
    ['alice,,bob <alice>', 'alice', 'alice', 'problem', true],
    ['ali"ce" <alice>', 'alice', 'alice', 'problem', true],
    ['"alice"<alice>', 'alice', 'alice', 'problem', true],
  ]

  it.each(table)('%j signed by %s, for %s: %s, %s', (text, signer, principal, expected, accepted) => {
    const file =
      signer === 'certificate' ? `${certificate.file}.pub` : (signer === 'alice' ? alice : bob).file
    const armored = workshop.sign(file, 'git', message)
    const asked = {
      allowed: `${fill(text)}\n`,
      principal,
      namespace: 'git',
      armor: armored,
      message,
      time: NOON,
    }
    expect(workshop.verifies(asked)).toBe(accepted)

    const { signers, problems } = parseAllowedSigners(fill(text))
    if (expected === 'problem') {
      expect(problems).not.toEqual([])
      return
    }
    expect(problems).toEqual([])
    // The rule that the table must follow: what is trusted here is good there, for the same name.
    const trust = verifyBy(signers, {
      signature: parseSshsig(workshop.signBlob(file, 'git', message)),
      message,
      namespace: 'git',
      at: noon,
    })
    expect(trust.verdict).toBe(expected)
    expect(expected === 'trusted').toBe(accepted)
    expect(trust.fingerprint).toBe(signer === 'bob' ? bob.fingerprint : alice.fingerprint)
    if (trust.verdict === 'trusted') {
      expect(trust.principal).toBe(principal)
      expect(workshop.findPrincipals(asked.allowed, armored, NOON).join().split(',')).toContain(principal)
    } else expect(trust.reason).toMatch(/^[^.]+[^.]$/)
  })

  it.each(KEY_KINDS)('agree on a key and on a certificate of type %s', (kind) => {
    const key = workshop.key(kind)
    const ca = workshop.key(kind)
    for (const [file, allowed] of [
      [key.file, `carol ${key.line}\n`],
      [`${workshop.certificate(ca, key, '-n', 'carol').file}.pub`, `carol cert-authority ${ca.line}\n`],
    ] as const) {
      const blob = workshop.signBlob(file, 'git', message)
      const trust = { verdict: 'trusted', principal: 'carol', fingerprint: key.fingerprint }
      expect(judge(allowed, blob)).toEqual(trust)
      const asked = { allowed, principal: 'carol', namespace: 'git', armor: armor(blob), message }
      expect(workshop.verifies(asked)).toBe(true)
      expect(
        judge(`${allowed}dave ${alice.line}\n`, workshop.signBlob(alice.file, 'git', message)),
      ).toMatchObject({
        principal: 'dave',
      })
    }
  })
})

describe('verifyBy', () => {
  const sign = (namespace = 'git', file = alice.file) => workshop.signBlob(file, namespace, message)

  it('names the first literal principal of the first line that trusts', () => {
    const blob = sign()
    expect(judge('*,first,second <alice>\nthird <alice>', blob)).toMatchObject({ principal: 'first' })
    expect(judge('first,!fir?,second <alice>', blob)).toMatchObject({
      principal: 'first',
    })
    expect(judge('zoe namespaces="file" <alice>\nfirst <alice>', blob)).toMatchObject({ principal: 'first' })
  })

  it('passes over a literal principal that the line excludes', () => {
    expect(judge('first,!f*,second <alice>', sign())).toMatchObject({ principal: 'second' })
  })

  it('refuses the signature of another namespace, whatever the key may sign', () => {
    const trust = judge('alice <alice>', sign('file'), 'git')
    expect(trust).toMatchObject({
      verdict: 'wrong-namespace',
      reason: 'it was signed for "file", not for "git"',
    })
    expect(judge('alice <alice>', sign('git'), ['file', 'git']).verdict).toBe('trusted')
    expect(judge('alice <alice>', sign('git or file'), ['git', 'file'])).toMatchObject({
      verdict: 'wrong-namespace',
      reason: 'it was signed for "git or file", not for "git" or "file"',
    })
    expect(judge('alice <alice>', sign('git'), []).verdict).toBe('wrong-namespace')
  })

  it('calls a forgery with a listed key a bad signature, whatever else is wrong', () => {
    const good = parseSshsig(sign('file'))
    const blob = sshsigBlob({
      publicKey: good.publicKey,
      namespace: 'file',
      signature: Buffer.concat([
        Buffer.from('0000000b7373682d6564323535313900000040', 'hex'),
        Buffer.alloc(64, 1),
      ]),
    })
    for (const text of [
      'alice <alice>',
      'alice namespaces="x" <alice>',
      'alice valid-before="20200101Z" <alice>',
    ]) {
      expect(judge(text, blob)).toEqual({
        verdict: 'bad-signature',
        fingerprint: alice.fingerprint,
        reason: 'the signature does not fit the key and the signed data',
      })
    }
    expect(judge('bob <bob>', blob).verdict).toBe('unknown-key')
  })

  it('refuses another message', () => {
    const signature = parseSshsig(sign())
    const trust = verifyBy(signersOf('alice <alice>'), {
      signature,
      message: Buffer.from('x'),
      namespace: 'git',
      at: noon,
    })
    expect(trust.verdict).toBe('bad-signature')
  })

  it('gives the most telling objection of several lines', () => {
    const blob = sign()
    const file = 'a namespaces="file" <alice>\n'
    const expired = 'b valid-before="20200101Z" <alice>\n'
    const later = 'c valid-after="20300101Z" <alice>\n'
    expect(judge(file + expired + later, blob)).toEqual({
      verdict: 'expired-key',
      fingerprint: alice.fingerprint,
      principal: 'b',
      reason: 'the key was valid until 2020-01-01T00:00:00Z (line 2)',
    })
    expect(judge(later + file, blob)).toMatchObject({
      verdict: 'not-yet-valid-key',
      principal: 'c',
      reason: 'the key is valid from 2030-01-01T00:00:00Z on (line 1)',
    })
    expect(judge(file, blob)).toMatchObject({
      verdict: 'wrong-namespace',
      reason: 'the key is not allowed to sign for "git" (line 1)',
    })
    expect(judge(`${file}${expired}${later}d <alice>`, blob)).toMatchObject({
      verdict: 'trusted',
      principal: 'd',
    })
  })

  it('counts whole seconds', () => {
    const text = 'alice valid-after="20260615120000Z",valid-before="20260615120010Z" <alice>'
    const blob = sign()
    const verdict = (ms: number) => judge(text, blob, 'git', noon + ms).verdict
    expect([-1, 0, 1, 10_000, 10_999, 11_000].map(verdict)).toEqual([
      'not-yet-valid-key',
      'trusted',
      'trusted',
      'trusted',
      'trusted',
      'expired-key',
    ])
  })

  it('does not decide at a time that is none', () => {
    const blob = sign()
    for (const at of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => judge('alice valid-before="20200101Z" <alice>', blob, 'git', at)).toThrow(RangeError)
    }
  })

  it('says what an unknown key would need', () => {
    const plain = sign()
    const certified = sign('git', `${certificate.file}.pub`)
    const reason = (text: string, blob: Uint8Array) => {
      const trust = judge(text, blob)
      return trust.verdict === 'unknown-key' ? trust.reason : trust.verdict
    }
    expect(reason('bob <bob>', plain)).toBe('the key is not listed')
    expect(reason('*  cert-authority <alice>', plain)).toBe(
      'the key is listed only as a cert-authority (line 1)',
    )
    const missing = `no cert-authority with the key ${authority.fingerprint} is listed`
    expect(reason('bob <bob>', certified)).toBe(missing)
    expect(reason('alice <alice>', certified)).toBe(
      `${missing}; its plain key is (line 1), sign without the certificate`,
    )
  })

  it('trusts no signature with a flipped bit', () => {
    const signers = signersOf('alice <alice>\n*@example.com cert-authority <ca>\nbob <bob>')
    for (const file of [alice.file, bob.file, `${certificate.file}.pub`]) {
      for (const flipped of bitFlips(sign('git', file))) {
        let trust: Trust
        try {
          trust = verifyBy(signers, { signature: parseSshsig(flipped), message, namespace: 'git', at: noon })
        } catch (error) {
          expect(error).toMatchObject({ name: 'HeadgateError', code: 'data' })
          continue
        }
        expect(trust.verdict).not.toBe('trusted')
      }
    }
  })
})

describe('whatever the file says', () => {
  const principals = fc.constantFrom(
    'alice',
    '"alice"',
    'alice,b*',
    '*,alice',
    '!bob,alice',
    '!alice,bob',
    'bob,alice',
    'al?ce,bob',
    '*',
  )
  const options = fc.uniqueArray(
    fc.constantFrom(
      'cert-authority',
      'namespaces="git"',
      'NAMESPACES="f*,g*"',
      'namespaces="*,!git"',
      'valid-after="20260615Z"',
      'valid-after="20260616"',
      'valid-before="202606151200Z"',
      'Valid-Before="20260615115959"',
      'namespaces=""',
      'x',
    ),
    { maxLength: 3 },
  )
  const gap = fc.constantFrom(' ', '\t', '  ')
  const signer = fc.constantFrom('<alice>', '<alice>', '<alice>', '<bob>', '<ca>', 'ssh-ed25519 AAAA')
  const rest = fc.constantFrom('', ' comment', ' "', '\r', '\t# x')
  const line = fc
    .tuple(principals, gap, options, gap, signer, rest)
    .map(([who, space, list, more, key, end]) =>
      [who, space, list.join(), list.length > 0 ? more : '', key, end].join(''),
    )
  const file = fc.array(fc.oneof({ weight: 8, arbitrary: line }, fc.constantFrom('', '# x', ' ')), {
    maxLength: 4,
  })

  it('a file that is accepted here trusts exactly what ssh-keygen verifies', () => {
    const blob = workshop.signBlob(alice.file, 'git', message)
    fc.assert(
      fc.property(file, (lines) => {
        const text = fill(`${lines.join('\n')}\n`)
        const { signers, problems } = parseAllowedSigners(text)
        if (problems.length > 0) return
        const trust = verifyBy(signers, { signature: parseSshsig(blob), message, namespace: 'git', at: noon })
        // A signature that is not trusted here must not be good there, for any name in the file.
        const names = trust.verdict === 'trusted' ? [trust.principal] : ['alice', 'bob']
        for (const principal of names) {
          const asked = {
            allowed: text,
            principal,
            namespace: 'git',
            armor: armor(blob),
            message,
            time: NOON,
          }
          expect(workshop.verifies(asked)).toBe(trust.verdict === 'trusted')
        }
      }),
      { numRuns: 200 },
    )
  })
})
