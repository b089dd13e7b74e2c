import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { parsePushCertificate, verifyPushCertificate } from '../../src/signing/push-certificate.ts'
import { bitFlips, cleanEnv, type KeyFile, Workshop } from './ssh-keygen.ts'

const env = {
  ...cleanEnv,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Alice',
  GIT_AUTHOR_EMAIL: 'alice@example.com',
  GIT_COMMITTER_NAME: 'Alice',
  GIT_COMMITTER_EMAIL: 'alice@example.com',
}

let workshop: Workshop
let key: KeyFile

beforeAll(() => {
  workshop = new Workshop()
  key = workshop.key()
})
afterAll(() => workshop.close())

/** Pushes with real git and returns the certificates that the pre-receive hook saw. */
function pushSigned(name: string, options: { format: string; pushes: string[][] }) {
  const server = join(workshop.folder, `${name}.git`)
  const client = join(workshop.folder, name)
  const git = (...args: string[]) =>
    execFileSync('git', args, { env, encoding: 'utf8', stdio: 'pipe' }).trim()
  git('init', '-q', '--bare', `--object-format=${options.format}`, server)
  git('-C', server, 'config', 'receive.certNonceSeed', 'a seed')
  git('-C', server, 'config', 'receive.advertisePushOptions', 'true')
  mkdirSync(join(server, 'hooks'), { recursive: true })
  const hook =
    '#!/bin/sh\ngit cat-file blob "$GIT_PUSH_CERT" > cert\nprintf %s "$GIT_PUSH_CERT_NONCE" > nonce\n'
  writeFileSync(join(server, 'hooks/pre-receive'), hook, { mode: 0o755 })
  git('init', '-q', '-b', 'main', `--object-format=${options.format}`, client)
  git('-C', client, 'commit', '-q', '--allow-empty', '-m', 'one')
  git('-C', client, 'remote', 'add', 'origin', server)
  git('-C', client, 'config', 'gpg.format', 'ssh')
  git('-C', client, 'config', 'user.signingKey', key.file)
  const head = git('-C', client, 'rev-parse', 'HEAD')
  const certificates = options.pushes.map((args) => {
    git('-C', client, 'push', '-q', '--signed', ...args)
    return {
      bytes: readFileSync(join(server, 'cert')),
      nonce: readFileSync(join(server, 'nonce'), 'utf8'),
    }
  })
  return { head, server, certificates }
}

describe.each(['sha1', 'sha256'])('a certificate of git, in a repository with %s', (format) => {
  it('is read and verified', () => {
    const pushes = [
      ['origin', 'main', 'main:refs/heads/ünï'],
      ['-o', 'note=first', '-o', 'plan=a b', 'origin', 'main:release', ':refs/heads/ünï'],
    ]
    const { head, server, certificates } = pushSigned(`push-${format}`, { format, pushes })
    const zero = '0'.repeat(head.length)
    const [first, second] = certificates.map(({ bytes }) => parsePushCertificate(bytes))
    expect(first).toMatchObject({
      version: '0.1',
      pushee: server,
      nonce: certificates[0]?.nonce,
      pushOptions: [],
      updates: [
        { from: zero, to: head, ref: 'refs/heads/main' },
        { from: zero, to: head, ref: 'refs/heads/ünï' },
      ],
    })
    expect(first?.pusher).toMatch(/^\S.* \d+ [+-]\d{4}$/)
    expect(second).toMatchObject({ pushOptions: ['note=first', 'plan=a b'], nonce: certificates[1]?.nonce })
    expect(second?.updates).toHaveLength(2)
    expect(second?.updates).toContainEqual({ from: zero, to: head, ref: 'refs/heads/release' })
    expect(second?.updates).toContainEqual({ from: head, to: zero, ref: 'refs/heads/ünï' })

    const { signers } = parseAllowedSigners(`alice namespaces="git" ${key.line}`)
    const other = parseAllowedSigners(`alice namespaces="headgate-approval" ${key.line}`).signers
    for (const certificate of [first, second]) {
      if (certificate === undefined) throw new Error('no certificate')
      expect(verifyPushCertificate(certificate, signers, Date.now())).toEqual({
        verdict: 'trusted',
        principal: 'alice',
        fingerprint: key.fingerprint,
      })
      expect(verifyPushCertificate(certificate, other, Date.now()).verdict).toBe('wrong-namespace')
      expect(verifyPushCertificate(certificate, [], Date.now()).verdict).toBe('unknown-key')
    }
  })
})

describe('parsePushCertificate', () => {
  const oid = (digit: string) => digit.repeat(40)
  const lines = [
    'certificate version 0.1',
    'pusher alice 1700000000 +0000',
    'pushee https://git.example.com/app',
    'nonce 1700000000-abcdef',
    'push-option note=x',
    '',
    `${oid('a')} ${oid('b')} refs/heads/release`,
  ]
  const seal = (text: string, namespace = 'git') =>
    Buffer.from(text + workshop.sign(key.file, namespace, text))
  const make = (...all: string[]) => seal(`${all.join('\n')}\n`)

  it('reads a certificate with as little as git may write', () => {
    const certificate = parsePushCertificate(make(lines[0] ?? '', lines[1] ?? '', '', lines[6] ?? ''))
    expect(certificate.pushee).toBeUndefined()
    expect(certificate.nonce).toBeUndefined()
    expect(certificate.pushOptions).toEqual([])
    expect(parsePushCertificate(make(...lines)).pushOptions).toEqual(['note=x'])
  })

  it('verifies in no other namespace than git', () => {
    const certificate = parsePushCertificate(seal(`${lines.join('\n')}\n`, 'file'))
    const { signers } = parseAllowedSigners(`alice ${key.line}`)
    expect(verifyPushCertificate(certificate, signers, Date.now()).verdict).toBe('wrong-namespace')
  })

  const replaced = (index: number, ...by: string[]) => [
    ...lines.slice(0, index),
    ...by,
    ...lines.slice(index + 1),
  ]
  it.each([
    ['another version', replaced(0, 'certificate version 0.2')],
    ['no version', replaced(0)],
    ['no pusher', replaced(1)],
    ['an empty pusher', replaced(1, 'pusher ')],
    ['two pushers', replaced(1, 'pusher alice 1 +0000', 'pusher bob 1 +0000')],
    ['two nonces', replaced(3, 'nonce a', 'nonce b')],
    ['a nonce after the options', replaced(4, 'push-option a', 'nonce b')],
    ['an unknown header', replaced(4, 'certifier eve')],
    ['a header in capitals', replaced(3, 'Nonce a')],
    ['no empty line', replaced(5)],
    ['two empty lines', replaced(5, '', '')],
    ['no updates', replaced(6)],
    ['an empty line at the end', [...lines, '']],
    ['an update with a short id', replaced(6, `${oid('a')} ${'b'.repeat(39)} refs/heads/release`)],
    ['an update with a long id', replaced(6, `${oid('a')} ${'b'.repeat(64)} refs/heads/release`)],
    ['an update with capitals', replaced(6, `${oid('A')} ${oid('b')} refs/heads/release`)],
    ['an update with two spaces', replaced(6, `${oid('a')}  ${oid('b')} refs/heads/release`)],
    ['an update with no ref', replaced(6, `${oid('a')} ${oid('b')}`)],
    ['an update with a short ref', replaced(6, `${oid('a')} ${oid('b')} release`)],
    ['an update with a tab', replaced(6, `${oid('a')} ${oid('b')} refs/heads/rel\tease`)],
    ['an update that ends in CRLF', replaced(6, `${lines[6]}\r`)],
    ['a ref twice', [...lines, `${oid('a')} ${oid('c')} refs/heads/release`]],
  ])('refuses %s', (_, all) => {
    expect(() => parsePushCertificate(make(...all))).toThrow(HeadgateError)
    expect(() => parsePushCertificate(make(...all))).toThrow(expect.objectContaining({ code: 'data' }))
  })

  it('refuses anything before, between and after', () => {
    const good = make(...lines).toString()
    expect(parsePushCertificate(Buffer.from(good)).updates).toHaveLength(1)
    const signature = good.slice(good.indexOf('-----BEGIN'))
    for (const bad of [
      '',
      signature,
      `\n${signature}`,
      `${good}\n`,
      `${good}x`,
      good + signature,
      good.replace('-----BEGIN', ' -----BEGIN'),
      good.replaceAll('\n', '\r\n'),
      `\n${good}`,
      good.replaceAll('SSH SIGNATURE', 'PGP SIGNATURE'),
      good.slice(0, -40),
      good.replace('alice', 'al\u0000ce').replace(signature, ''),
    ]) {
      expect(() => parsePushCertificate(Buffer.from(bad))).toThrow(HeadgateError)
    }
    const latin1 = Buffer.from(good.replace('alice', 'al\u00efce'), 'latin1')
    expect(() => parsePushCertificate(latin1)).toThrow('not UTF-8')
    expect(() => parsePushCertificate(Buffer.alloc(5_000_000, 10))).toThrow('too large')
  })

  it('trusts none with a flipped bit', () => {
    const { signers } = parseAllowedSigners(`alice ${key.line}`)
    for (const flipped of bitFlips(make(...lines))) {
      try {
        const certificate = parsePushCertificate(flipped)
        expect(verifyPushCertificate(certificate, signers, Date.now()).verdict).not.toBe('trusted')
      } catch (error) {
        expect(error).toBeInstanceOf(HeadgateError)
      }
    }
  })
})
