/** What counts as a policy that asks for less: docs/rules-reference.md, "Changes of policy". */
import { describe, expect, test } from 'vitest'
import { policyChanges } from '../../src/core/policy/policy-changes.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'

const STRICT = `
version: 1
repository: git.example.com/app
staging: main
release: release
evidence: { maxAge: 1h, servedCommit: required }
promotion: { operators: [alice], signedPush: required, notes: required }
rollback: { approvers: [alice, bob, carol, dan], approvals: 2, approverMayPush: false, approvalMaxAge: 30m, target: smoke-passed }
environments:
  staging:
    url: https://staging.example.com
    servedCommit: { get: /version, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
      - { name: drills, run: ./drills.sh, optional: true }
  production:
    url: https://example.com
    servedCommit: { get: /version, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
`
type Case = readonly [from: string, to: string, text: string]

const WEAKER: readonly Case[] = [
  ['app\n', 'other\n', 'repository: git.example.com/app -> git.example.com/other'],
  ['staging: main', 'staging: trunk', 'staging: main -> trunk'],
  ['release: release', 'release: production', 'release: release -> production'],
  ['version: 1', 'version: 1\nreleaseLog: LOG.md', 'releaseLog: docs/RELEASE_LOG.md -> LOG.md'],
  ['version: 1', 'version: 1\nenforcement: evaluate', 'enforcement: enforce -> evaluate'],
  ['maxAge: 1h', 'maxAge: 2h', 'evidence.maxAge: 60 min -> 120 min'],
  [
    'maxAge: 1h, servedCommit: required',
    'maxAge: 1h, servedCommit: if-reported',
    'evidence.servedCommit: required -> if-reported',
  ],
  ['operators: [alice]', 'operators: [alice, eve]', 'promotion.operators: eve put in'],
  ['signedPush: required', 'signedPush: ignore', 'promotion.signedPush: required -> ignore'],
  [', notes: required', '', 'promotion.notes: required -> optional'],
  [
    'approvers: [alice, bob, carol, dan]',
    'approvers: [alice, bob, carol, dan, eve]',
    'rollback.approvers: eve put in',
  ],
  ['approvals: 2', 'approvals: 1', 'rollback.approvals: 2 -> 1'],
  ['approverMayPush: false', 'approverMayPush: true', 'rollback.approverMayPush: false -> true'],
  ['approvalMaxAge: 30m', 'approvalMaxAge: 31m', 'rollback.approvalMaxAge: 30 min -> 31 min'],
  ['target: smoke-passed', 'target: landed', 'rollback.target: smoke-passed -> landed'],
  [
    'url: https://staging.',
    'url: https://easy.',
    'environments.staging.url: https://staging.example.com -> https://easy.example.com',
  ],
  [
    'get: /version',
    'get: /same',
    'environments.staging.servedCommit: {"get":"/version","json":"commit"} -> {"get":"/same","json":"commit"}',
  ],
  [
    '- { name: health, get: /health, expect: { status: 200 } }\n      - { name: d',
    '- { name: other, get: /health, expect: { status: 200 } }\n      - { name: d',
    'environments.staging.gates.health: taken out',
  ],
  [
    'expect: { status: 200 } }\n      - { name: d',
    'expect: { status: 500 } }\n      - { name: d',
    'environments.staging.gates.health: asks something else (expect)',
  ],
  [
    'expect: { status: 200 } }\n      - { name: d',
    'expect: { status: 200 }, optional: true }\n      - { name: d',
    'environments.staging.gates.health: required -> optional',
  ],
]
/** The same steps back are stricter, and told all the same. */
const STRICTER: readonly Case[] = [
  ['maxAge: 1h', 'maxAge: 30m', 'evidence.maxAge: 60 min -> 30 min'],
  [
    'approvers: [alice, bob, carol, dan]',
    'approvers: [bob, carol, dan]',
    'rollback.approvers: alice taken out',
  ],
  ['approvals: 2', 'approvals: 3', 'rollback.approvals: 2 -> 3'],
  [
    'run: ./drills.sh, optional: true',
    'run: ./drills.sh',
    'environments.staging.gates.drills: optional -> required',
  ],
  [
    'run: ./drills.sh',
    'run: ./other.sh',
    'environments.staging.gates.drills: asks something else (command) (optional)',
  ],
]

function changes([from, to]: Case) {
  const text = STRICT.replace(from, to)
  expect(text).not.toBe(STRICT)
  return policyChanges(parsePolicy(STRICT), parsePolicy(text))
}

describe('a change of policy', () => {
  test.for(WEAKER)('weakens: %s -> %s', (change) => {
    expect(changes(change)).toContainEqual({ text: change[2], weakens: true })
  })

  test.for(STRICTER)('does not weaken: %s -> %s', (change) => {
    expect(changes(change)).toEqual([{ text: change[2], weakens: false }])
  })

  test('production taken out weakens, and put in does not', () => {
    const [without, withIt] = [
      parsePolicy(STRICT.slice(0, STRICT.indexOf('  production:')).replace('smoke-passed', 'landed')),
      parsePolicy(STRICT.replace('smoke-passed', 'landed')),
    ]
    expect(policyChanges(withIt, without)).toEqual([
      { text: 'environments.production: taken out', weakens: true },
    ])
    expect(policyChanges(without, withIt)).toEqual([
      { text: 'environments.production: put in', weakens: false },
    ])
  })

  test('a policy and itself do not differ', () => {
    expect(policyChanges(parsePolicy(STRICT), parsePolicy(STRICT))).toEqual([])
  })
})
