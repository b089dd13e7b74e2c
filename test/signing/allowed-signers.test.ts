import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { matchesPatternList } from '../../src/signing/pattern-list.ts'
import { wireMpint, wireString } from '../../src/signing/ssh-wire.ts'
import { KEY_KINDS, type KeyFile, SoftHardwareKey, Workshop } from './ssh-keygen.ts'

let workshop: Workshop
let key: KeyFile
beforeAll(() => {
  workshop = new Workshop()
  key = workshop.key()
})
afterAll(() => workshop.close())

/** `<key>` stands for an Ed25519 key. */
function parse(text: string) {
  return parseAllowedSigners(text.replaceAll('<key>', key.line))
}

describe('parseAllowedSigners', () => {
  it('reads principals, options and key', () => {
    const text = [
      '# the operators',
      '',
      '  \t',
      '   # indented',
      'alice <key> comment of "any" kind',
      '"bob,bob smith@example.com" \t namespaces="git,headgate-*",valid-after="20260101Z" <key>',
      '*@example.com,!eve@example.com CERT-authority,Valid-Before="202701021530" <key>\r',
      '\tcarol valid-after="20260101123456Z",valid-before="20260102" <key>',
    ].join('\n')
    const { signers, problems } = parse(text)
    expect(problems).toEqual([])
    const plain = { keyType: 'ssh-ed25519', publicKey: key.blob, fingerprint: key.fingerprint }
    expect(signers).toEqual([
      { line: 5, principals: ['alice'], certAuthority: false, ...plain },
      {
        line: 6,
        principals: ['bob', 'bob smith@example.com'],
        certAuthority: false,
        namespaces: ['git', 'headgate-*'],
        validAfter: Date.UTC(2026, 0, 1),
        ...plain,
      },
      {
        line: 7,
        principals: ['*@example.com', '!eve@example.com'],
        certAuthority: true,
        validBefore: Date.UTC(2027, 0, 2, 15, 30),
        ...plain,
      },
      {
        line: 8,
        principals: ['carol'],
        certAuthority: false,
        validAfter: Date.UTC(2026, 0, 1, 12, 34, 56),
        validBefore: Date.UTC(2026, 0, 2),
        ...plain,
      },
    ])
  })

  it('reads every type of key', () => {
    const lines = KEY_KINDS.map(([kind]) => workshop.key(kind).line)
    lines.push(new SoftHardwareKey('ed25519').line, new SoftHardwareKey('ecdsa').line)
    const { signers, problems } = parse(lines.map((line) => `alice ${line}`).join('\n'))
    expect(problems).toEqual([])
    expect(signers.map((signer) => signer.keyType)).toEqual(lines.map((line) => line.split(' ')[0]))
  })

  it('takes an empty file for an empty list', () => {
    for (const text of ['', '\n', '# nobody\n\n']) expect(parse(text)).toEqual({ signers: [], problems: [] })
  })

  it.each([
    ['alice', 'the line has no key'],
    ['alice ', 'the line has no key'],
    ['alice namespaces="git"', 'the line has no key'],
    ['alice cert-authority', 'the line has no key'],
    ['<key>', 'the line starts with a key; the name of the signer comes first'],
    ['"alice <key>', 'the quotes around the principals do not match'],
    ['"alice"<key>', 'the quotes around the principals do not match'],
    ['ali"ce b"ob <key>', 'the quotes around the principals do not match'],
    ['"" <key>', 'the list of principals has an empty pattern'],
    ['alice, <key>', 'the list of principals has an empty pattern'],
    ['alice,,bob <key>', 'the list of principals has an empty pattern'],
    ['alice,! <key>', 'the list of principals has an empty pattern'],
    ['"alice, bob" <key>', 'the list of principals has a space beside a comma or a quote'],
    ['!alice <key>', 'the list of principals only excludes'],
    ['!alice cert-authority <key>', 'the list of principals only excludes'],
    ['* <key>', 'no principal is a plain name, and only a cert-authority can do without one'],
    ['*@example.com <key>', 'no principal is a plain name, and only a cert-authority can do without one'],
    ['alice,!a* <key>', 'no principal is a plain name, and only a cert-authority can do without one'],
    ['a\u200blice <key>', 'the list of principals has invisible characters'],
    ['a\u202elice <key>', 'the list of principals has invisible characters'],
    ['al\0ice <key>', 'the line has control characters'],
    ['alice <key> \u001b[2J', 'the line has control characters'],
    ['# comment\rmallory <key>', 'the line has control characters'],
    ['\ufeffalice <key>', 'the file starts with a byte order mark'],
    [`${'a'.repeat(256)} <key>`, 'the list of principals has a pattern with over 255 characters'],
    [`alice <key> ${'x'.repeat(8192)}`, 'the line is longer than 8192 characters'],
    ['alice unknown <key>', 'unknown option "unknown"'],
    ['alice no-touch-required <key>', 'unknown option "no-touch-required"'],
    ['alice git,namespaces="git" <key>', 'unknown option "git"'],
    ['alice namespaces <key>', 'option namespaces needs a value in double quotes'],
    ['alice namespaces=git <key>', 'option namespaces needs a value in double quotes'],
    ["alice namespaces='git' <key>", 'option namespaces needs a value in double quotes'],
    ['alice namespaces="git <key>', 'the options have an unclosed quote or a backslash'],
    ['alice namespaces="a\\"b" <key>', 'the options have an unclosed quote or a backslash'],
    ['alice namespaces="" <key>', 'the list of namespaces has an empty pattern'],
    ['alice namespaces="!git" <key>', 'the list of namespaces only excludes'],
    ['alice namespaces="git, file" <key>', 'the list of namespaces has a space beside a comma or a quote'],
    ['alice namespaces="git",namespaces="file" <key>', 'option namespaces is given twice'],
    ['alice namespaces="git",NameSpaces="file" <key>', 'option namespaces is given twice'],
    [
      'alice namespaces="git"valid-after="20260101Z" <key>',
      'option namespaces must be followed by a comma and another option',
    ],
    ['alice namespaces="git", <key>', 'option namespaces must be followed by a comma and another option'],
    ['alice namespaces="git",,cert-authority <key>', 'unknown option ""'],
    ['alice ,namespaces="git" <key>', 'unknown option ""'],
    ['alice cert-authority,cert-authority <key>', 'option cert-authority is given twice'],
    ['alice cert-authority="yes" <key>', 'option cert-authority takes no value'],
    ['alice namespaces="git" cert-authority <key>', 'key type "cert-authority" is not supported'],
    ['alice valid-after="2026" <key>', 'valid-after is not of the form YYYYMMDDZ or YYYYMMDDHHMMSSZ'],
    ['alice valid-after="2026-01-01" <key>', 'valid-after is not of the form YYYYMMDDZ or YYYYMMDDHHMMSSZ'],
    ['alice valid-after="20260101z" <key>', 'valid-after is not of the form YYYYMMDDZ or YYYYMMDDHHMMSSZ'],
    ['alice valid-after="+1d" <key>', 'valid-after is not of the form YYYYMMDDZ or YYYYMMDDHHMMSSZ'],
    ['alice valid-after="always" <key>', 'valid-after is not of the form YYYYMMDDZ or YYYYMMDDHHMMSSZ'],
    ['alice valid-before="20260230Z" <key>', 'valid-before is not a date'],
    ['alice valid-before="20261301Z" <key>', 'valid-before is not a date'],
    ['alice valid-before="202601012460Z" <key>', 'valid-before is not a date'],
    ['alice valid-before="19700101Z" <key>', 'valid-before is not a date'],
    ['alice valid-before="00000000Z" <key>', 'valid-before is not a date'],
    ['alice valid-after="20260101Z",valid-before="20260101" <key>', 'valid-before is not after valid-after'],
    ['alice valid-after="20260102Z",valid-before="20260101Z" <key>', 'valid-before is not after valid-after'],
    ['alice ED25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==', 'key type "ED25519" is not supported'],
    ['alice ssh-dss AAAAB3NzaC1kc3M=', 'key type "ssh-dss" is not supported'],
    ['alice rsa-sha2-512 AAAAB3NzaC1yc2E=', 'key type "rsa-sha2-512" is not supported'],
    [
      'alice ssh-rsa-cert-v01@openssh.com AAAA',
      'the key is a certificate; list its authority with cert-authority, or the plain key',
    ],
    ['alice ssh-ed25519', 'the line has no key'],
    ['alice ssh-ed25519 AAAA!AAA', 'the key is not usable: it is not base64'],
    ['alice ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA', 'the key is not usable: it is not base64'],
    ['alice ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==', 'the key is not usable: SSH data ends too early'],
  ])('%s: %s', (line, message) => {
    const { signers, problems } = parse(`# first\n${line}\nbob <key>\n`)
    expect(problems).toEqual([{ line: 2, message }])
    expect(signers.map((signer) => signer.principals)).toEqual([['bob']])
  })

  it('names every problem, in the order of the lines', () => {
    const { problems } = parse('alice\nbob <key>\n* <key>\ncarol x <key>\n')
    expect(problems.map((problem) => problem.line)).toEqual([1, 3, 4])
  })

  it('refuses a key of another type than it says, a damaged key and a short RSA key', () => {
    const rsa = workshop.key('rsa 2048')
    expect(parse(`alice ssh-ed25519 ${rsa.line.split(' ')[1]}`).problems).toEqual([
      { line: 1, message: 'the key is not usable: it is of another type than the line says' },
    ])
    const longer = Buffer.concat([key.blob, Buffer.alloc(1)]).toString('base64')
    expect(parse(`alice ssh-ed25519 ${longer}`).problems).toEqual([
      { line: 1, message: 'the key is not usable: SSH data has trailing bytes' },
    ])
    const { e = '', n = '' } = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({
      format: 'jwk',
    })
    const short = Buffer.concat([
      wireString('ssh-rsa'),
      ...[e, n].map((number) => wireMpint(Buffer.from(number, 'base64url'))),
    ])
    expect(parse(`alice ssh-rsa ${short.toString('base64')}`).problems).toEqual([
      { line: 1, message: 'the key is not usable: RSA key has 1024 bits, at least 2048 are needed' },
    ])
  })

  it('limits the size and the lines', () => {
    const line = `# ${'x'.repeat(1000)}\n`
    expect(parse(line.repeat(260)).problems).toEqual([])
    expect(parse(line.repeat(262)).problems).toEqual([
      { line: 1, message: 'the file has more than 262144 bytes' },
    ])
    expect(parse('\n'.repeat(8191)).problems).toEqual([])
    expect(parse('\n'.repeat(8192)).problems).toEqual([
      { line: 8192, message: 'the file has more than 8192 lines' },
    ])
  })

  it('takes no longer for hostile lines', () => {
    const started = performance.now()
    for (const part of ['"', '\\"', ',', '!', '*', '="', 'a="",', '\t', 'A ']) {
      parse(`alice ${part.repeat(8000 / part.length)} <key>`)
      parse(`${part.repeat(8000 / part.length)} <key>`)
    }
    expect(performance.now() - started).toBeLessThan(2000)
  })
})

describe('pattern lists', () => {
  it.each([
    ['alice', 'alice', true],
    ['alice', 'Alice', false],
    ['alice', 'al', false],
    ['alice', '*', true],
    ['', '*', true],
    ['alice', 'a*e', true],
    ['alice', 'a*c', false],
    ['alice', '*l*c*', true],
    ['alice', 'al?ce', true],
    ['alice', 'alice?', false],
    ['alice', '?????', true],
    ['ä', '?', false],
    ['ä', '??', true],
    ['alice', 'bob,alice', true],
    ['alice', '*,!alice', false],
    ['alice', '!alice,*', false],
    ['bob', '*,!alice', true],
    ['alice', '!bob', false],
    ['a.b', 'a?b', true],
    ['a+b', 'a+b', true],
    ['aab', 'a+b', false],
    ['a*b', 'a*b', true],
    ['aaaaaaaaab', '*a*a*a*a*b', true],
    ['!alice', '!!alice', false],
  ])('%s in %s: %s', (name, list, expected) => {
    expect(matchesPatternList(name, list.split(','))).toBe(expected)
    if (name === '' || /[,*]/.test(name)) return
    // find-principals cannot ask for a name, but match-principals can.
    expect(workshop.principalMatches(`"${list}" ${key.line}\n`, name)).toBe(expected)
  })

  it('takes no exponential time', () => {
    const started = performance.now()
    expect(matchesPatternList('a'.repeat(250), [`${'*a'.repeat(120)}b`])).toBe(false)
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
