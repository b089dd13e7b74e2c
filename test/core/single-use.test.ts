import { expect, test } from 'vitest'
import { isSameVoice } from '../../src/core/single-use.ts'
import {
  answer,
  authorization,
  evidence,
  firstRelease,
  foundBy,
  MINUTE,
  makePolicy,
  NEW,
  NOW,
  OLD,
  outcome,
  promotion,
} from './build.ts'

const SIGNED = 'certificate version 0.1\nnonce 1-x\n\na b refs/heads/release\n'
const armored = (body: string) =>
  `${SIGNED}-----BEGIN SSH SIGNATURE-----\n${body}\n-----END SSH SIGNATURE-----\n`

test('a push certificate that was used does not count again when its armor is wrapped anew', () => {
  const policy = makePolicy({ promotion: 'operators: [alice], signedPush: required' })
  const earlier = [
    authorization({ from: OLD, to: NEW, at: NOW - MINUTE, certificate: armored('AAAA\nBBBB') }),
    outcome(NEW, 'not-landed'),
  ]
  const entries = [...firstRelease(), evidence(NEW), ...earlier]
  const judged = (text: string) => ({
    policy,
    facts: promotion({
      certificate: { offered: true, good: true, principal: 'alice', fingerprint: 'SHA256:alice', text },
    }),
  })
  for (const body of ['AAAA\nBBBB', 'AAAABBBB', 'AA\nAABBBB\n']) {
    expect(answer(entries, judged(armored(body)))).toEqual(['operator'])
    expect(foundBy('operator', entries, judged(armored(body)))).toMatch(/certificate has been used before/)
  }
  expect(answer(entries, judged(armored('AAAA').replace('1-x', '2-x')))).toBe('allowed')
})

test('two names of one key are one voice, and so are two keys of one name', () => {
  const voice = { principal: 'alice', fingerprint: 'SHA256:a' }
  expect(isSameVoice(voice, { principal: 'carol', fingerprint: 'SHA256:a' })).toBe(true)
  expect(isSameVoice(voice, { principal: 'alice', fingerprint: 'SHA256:c' })).toBe(true)
  expect(isSameVoice(voice, { principal: 'carol', fingerprint: 'SHA256:c' })).toBe(false)
})
