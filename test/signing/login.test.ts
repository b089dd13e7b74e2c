/** The file in which sshd tells how somebody logged in: what is read from it, and whose key it is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { type AllowedSigner, parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { judgeLogin, MAX_LOGIN_BYTES, parseLogin } from '../../src/signing/login.ts'
import { KEY_KINDS, type KeyFile, SoftHardwareKey, Workshop } from './ssh-keygen.ts'

const noon = Date.UTC(2026, 5, 15, 12)

let workshop: Workshop
let alice: KeyFile
let bob: KeyFile
let authority: KeyFile

beforeAll(() => {
  workshop = new Workshop()
  alice = workshop.key()
  bob = workshop.key('ecdsa 384')
  authority = workshop.key()
})
afterAll(() => workshop.close())

function signersOf(text: string): AllowedSigner[] {
  const filled = text
    .replaceAll('<alice>', alice.line)
    .replaceAll('<bob>', bob.line)
    .replaceAll('<ca>', authority.line)
  const { signers, problems } = parseAllowedSigners(filled)
  expect(problems).toEqual([])
  return signers
}

const judge = (lines: readonly string[], signers: string, at = noon) =>
  judgeLogin(parseLogin(lines), signersOf(signers), at)

describe('what sshd writes', () => {
  test.each(KEY_KINDS)('a key of type %s is whose the list says', (kind) => {
    const key = workshop.key(kind)
    expect(judge([`publickey ${key.line}`], `carol ${key.line}`)).toEqual({ principal: 'carol' })
  })

  test('a hardware key, too: that it was touched is for sshd to ask', () => {
    const key = new SoftHardwareKey('ed25519')
    expect(judge([`publickey ${key.line}`], `carol ${key.line}`)).toEqual({ principal: 'carol' })
  })

  test('other methods beside the key name nobody and do no harm', () => {
    const lines = [
      'hostbased ssh-ed25519 AAAA client user "mallory", client host "pc.example.com"',
      'keyboard-interactive/pam',
      'gssapi-with-mic mallory@EXAMPLE.COM',
      `publickey ${alice.line}`,
      'password',
    ]
    expect(judge(lines, 'alice <alice>')).toEqual({ principal: 'alice' })
    expect(
      judge(
        lines.filter((line) => !line.startsWith('publickey')),
        'alice <alice>',
      ),
    ).toEqual({
      reason: 'the connection did not log in with a key',
    })
  })

  test('of two keys both must be known, as the same person', () => {
    const both = [`publickey ${alice.line}`, `publickey ${bob.line}`]
    expect(judge(both, 'alice <alice>\nalice <bob>')).toEqual({ principal: 'alice' })
    expect(judge(both, 'alice <alice>\nbob <bob>')).toEqual({
      reason: 'the connection logged in with keys of two people',
    })
    for (const known of ['alice <alice>', 'alice <bob>'])
      expect(judge(both, known)).toEqual({
        reason: expect.stringMatching(/ logged in, and the key is not listed$/),
      })
  })

  const table: [string, string][] = [
    ['alice namespaces="git" <alice>', 'alice'],
    ['alice namespaces="headgate-approval,g*" <alice>', 'alice'],
    ['alice namespaces="headgate-evidence" <alice>', 'the key is not allowed to sign for "git" (line 1)'],
    ['alice namespaces="*,!git" <alice>', 'the key is not allowed to sign for "git" (line 1)'],
    ['eve namespaces="file" <alice>\nalice namespaces="git" <alice>', 'alice'],
    ['alice valid-before="20260615120000Z" <alice>', 'alice'],
    ['alice valid-before="20260615115959Z" <alice>', 'the key was valid until 2026-06-15T11:59:59Z (line 1)'],
    ['alice valid-after="20260615120001Z" <alice>', 'the key is valid from 2026-06-15T12:00:01Z on (line 1)'],
    ['alice cert-authority <alice>', 'the key is listed only as a cert-authority (line 1)'],
    ['alice <bob>', 'the key is not listed'],
  ]
  test.each(table)('a key by %j: %s', (signers, expected) => {
    const judged = judge([`publickey ${alice.line}`], signers)
    expect(
      'principal' in judged ? judged.principal : judged.reason.replace(/^SHA256:\S+ logged in, and /, ''),
    ).toBe(expected)
  })
})

describe('a certificate', () => {
  const login = (...options: string[]) => {
    const { line } = workshop.certificate(authority, alice, ...options)
    return [`publickey ${line}`]
  }

  test('names the first of its principals that the line of its authority allows', () => {
    const lines = login('-n', 'git,alice')
    expect(judge(lines, '*,!git cert-authority <ca>')).toEqual({ principal: 'alice' })
    expect(judge(lines, 'alice cert-authority,namespaces="git" <ca>')).toEqual({ principal: 'alice' })
    for (const line of [
      'bob cert-authority <ca>',
      'alice cert-authority,namespaces="file" <ca>',
      'alice <alice>',
      '* cert-authority <alice>',
    ])
      expect(judge(lines, line), line).toHaveProperty('reason')
  })

  test('may have critical options, which sshd keeps', () => {
    const lines = login('-n', 'alice', '-O', 'force-command=git-shell', '-O', 'source-address=127.0.0.1')
    expect(judge(lines, '* cert-authority <ca>')).toEqual({ principal: 'alice' })
  })

  test('counts within its time only, and only as its authority made it', () => {
    const lines = login('-n', 'alice', '-V', '20260615120000Z:20260615130000Z')
    const signers = '* cert-authority <ca>'
    expect(judge(lines, signers, noon)).toEqual({ principal: 'alice' })
    expect(judge(lines, signers, noon - 1000)).toHaveProperty('reason')
    expect(judge(lines, signers, noon + 3_600_000)).toHaveProperty('reason')
    const [, type, base64 = ''] = lines[0]?.split(' ') ?? []
    const forged = Buffer.from(base64, 'base64')
    forged.writeUInt8(forged.readUInt8(forged.length - 1) ^ 1, forged.length - 1)
    expect(judge([`publickey ${type} ${forged.toString('base64')}`], signers)).toEqual({
      reason: expect.stringContaining('the certificate was not made by the authority that it names'),
    })
  })

  test('for a host is for nobody', () => {
    expect(judge(login('-h', '-n', 'alice'), '* cert-authority <ca>')).toHaveProperty('reason')
  })
})

describe('what sshd does not write is refused as a whole', () => {
  const key = () => `publickey ${alice.line}`
  const table: [string, () => string[]][] = [
    ['a comment', () => [key(), '# alice']],
    ['a key with a comment', () => [`${key()} alice`]],
    ['a key without its method', () => [alice.line]],
    ['a method with a capital', () => [key().replace('p', 'P')]],
    ['two spaces', () => [key().replace(' ', '  ')]],
    ['a tab', () => [key().replace(' ', '\t')]],
    ['a line end of Windows', () => [`${key()}\r`]],
    ['a NUL', () => [`${key()}\0`]],
    ['a space before', () => [` ${key()}`]],
    ['an empty line', () => [key(), '']],
    ['no key', () => ['publickey']],
    ['a type and no key', () => ['publickey ssh-ed25519']],
    ['another type than the key has', () => [`publickey ${bob.line.replace('384', '256')}`]],
    ['base64 without its end', () => [key().slice(0, -1)]],
    ['URL-safe base64', () => [`publickey ssh-ed25519 ${alice.blob.toString('base64url')}_`]],
    [
      'bytes after the key',
      () => [`publickey ssh-ed25519 ${Buffer.concat([alice.blob, Buffer.alloc(3)]).toString('base64')}`],
    ],
    ['a short RSA key', () => [`publickey ${workshop.key('rsa 1024').line}`]],
    ['a key of a type that there is not', () => ['publickey ssh-dss AAAAB3NzaC1kc3M=']],
    ['too many lines', () => Array.from({ length: 17 }, key)],
    ['too many bytes', () => [`password ${'x'.repeat(MAX_LOGIN_BYTES)}`]],
  ]
  test.each(table)('%s', (_, lines) => {
    expect(() => parseLogin([...lines()])).toThrow(HeadgateError)
  })
})
