import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { parsePolicyJson, policyJson } from '../../src/core/policy/policy-json.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'

const TEXT = `version: 1
repository: git.example.com/app
staging: main
release: release
promotion: { operators: [alice, bob] }
environments:
  staging:
    url: https://Staging.example.com:443/
    urls: [http://10.0.0.1:8080/app/]
    servedCommit: { get: /health, json: commit }
    headers: { authorization: { env: HEADGATE_GATE_TOKEN } }
    gates:
      - { name: health, get: /health, timeout: 3s, expect: { status: 200 } }
      - { name: lint, run: npm run lint, optional: true }
`
const DIGEST = parsePolicy(TEXT).environments.staging.configurationDigest
/** Written by the first version that has such files. Later ones must write the same bytes. */
const JSON_OF_TEXT = `{"enforcement":"enforce","environments":{"staging":{"configurationDigest":"${DIGEST}","gates":[{"name":"health","optional":false},{"name":"lint","optional":true}],"name":"staging","urls":["https://staging.example.com","http://10.0.0.1:8080/app"]}},"evidence":{"maxAgeMs":86400000,"servedCommit":"required"},"form":1,"promotion":{"notes":"optional","operators":["alice","bob"],"signedPush":"if-offered"},"release":"release","releaseLog":"docs/RELEASE_LOG.md","repository":"git.example.com/app","rollback":{"approvalMaxAgeMs":3600000,"approvals":1,"approverMayPush":true,"approvers":["alice","bob"],"bar":"commit","target":"landed"},"staging":"main"}
`

test('of a policy the JSON has what decides moves, defaults included, and nothing of how gates are run', () => {
  expect(policyJson(parsePolicy(TEXT))).toBe(JSON_OF_TEXT)
})

test('what it says is read back, and says the same', () => {
  const production = TEXT.slice(TEXT.indexOf('  staging:\n    url')).replace('staging:', 'production:')
  for (const text of [TEXT, TEXT + production]) {
    const policy = parsePolicy(text)
    const terms = parsePolicyJson(policyJson(policy))
    expect(policy).toMatchObject({ ...terms })
    expect(Object.keys(terms?.environments ?? {})).toEqual(Object.keys(policy.environments))
  }
})

describe('is refused, if it is not what headgate writes:', () => {
  const value = JSON.parse(JSON_OF_TEXT)
  const { staging: _, ...lacking } = value
  const cases: Record<string, string> = {
    'no JSON': 'version: 1\n',
    nothing: '',
    'no map': '[]\n',
    torn: JSON_OF_TEXT.slice(0, -100),
    'without its line break': JSON_OF_TEXT.trimEnd(),
    'in another order': `${JSON.stringify(value)} \n`,
    'with white space': `${JSON.stringify(value, null, 2)}\n`,
    'a key that is not known': `${canonicalJson({ ...value, remarks: 'required' })}\n`,
    'an environment that is not known': `${canonicalJson({ ...value, environments: { ...value.environments, canary: value.environments.staging } })}\n`,
    'a key twice': JSON_OF_TEXT.replace('"form":1,', '"form":1,"form":1,'),
    'a key that is missing': `${canonicalJson(lacking)}\n`,
    'a value of another type': JSON_OF_TEXT.replace('["alice","bob"]', '"alice"'),
    'a word that is not known': JSON_OF_TEXT.replace('"if-offered"', '"never"'),
    'without a form': JSON_OF_TEXT.replace('"form":1,', ''),
    'of a form that never was': JSON_OF_TEXT.replace('"form":1', '"form":0'),
  }
  test.for(Object.entries(cases))('%s', ([, json]) => {
    expect(() => parsePolicyJson(json)).toThrow(expect.objectContaining({ code: 'data' }))
  })
})

test('of a later form nothing is said: the text counts then', () => {
  expect(parsePolicyJson('{"form":2,"lanes":[]}\n')).toBeNull()
})
