import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { holderOfKey } from '../../src/signing/key-holder.ts'
import { ed25519PublicKeyLine, parseKeyLine } from '../../src/signing/key-line.ts'
import { nameLogin } from '../../src/signing/trust.ts'

const line = ed25519PublicKeyLine(generateKeyPairSync('ed25519').publicKey, '')
const stranger = ed25519PublicKeyLine(generateKeyPairSync('ed25519').publicKey, '')
const key = parseKeyLine(line)
const { signers, problems } = parseAllowedSigners(
  [
    `* cert-authority ${stranger}`,
    `alice namespaces="git,headgate-approval",valid-after="20260101Z",valid-before="20260201Z" ${line}`,
    `alice namespaces="headgate-evidence",valid-before="20260115Z" ${line}`,
  ].join('\n'),
)
const at = (time: string) => Date.parse(time)

test('a key is held by the name of its line, for what the lines that are valid allow', () => {
  expect(problems).toEqual([])
  const holder = holderOfKey(key, signers, at('2026-01-10T00:00:00Z'))
  expect(holder?.principal).toBe('alice')
  expect(['git', 'headgate-approval', 'headgate-evidence'].map((name) => holder?.may(name))).toEqual([
    true,
    true,
    true,
  ])
  expect(holderOfKey(key, signers, at('2026-01-20T00:00:00Z'))?.may('headgate-evidence')).toBe(false)
  expect(holderOfKey(key, signers, at('2026-02-02T00:00:00Z'))).toBeNull()
  expect(holderOfKey(parseKeyLine(stranger), signers, at('2026-01-10T00:00:00Z'))).toBeNull()
})

test('a key is held as long as a server takes it: to the end of the last second', () => {
  const login = { key, keyType: key.type, publicKey: key.blob, fingerprint: key.fingerprint }
  for (const [time, isHeld] of [
    ['2025-12-31T23:59:59.999Z', false],
    ['2026-01-01T00:00:00.000Z', true],
    ['2026-02-01T00:00:00.999Z', true],
    ['2026-02-01T00:00:01.000Z', false],
  ] as const) {
    const lines = signers.filter(({ namespaces }) => namespaces?.includes('git'))
    expect(holderOfKey(key, lines, at(time)) !== null, time).toBe(isHeld)
    expect(nameLogin(lines, login, 'git', at(time)).verdict === 'trusted', time).toBe(isHeld)
  }
})
