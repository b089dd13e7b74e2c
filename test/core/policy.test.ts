import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Policy, requiredGates } from '../../src/core/policy/policy.ts'
import { policyJsonSchema } from '../../src/core/policy/policy-schema.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'

const FULL = `version: 1
repository: git.example.com/app        # binds evidence and approvals to this repository
staging: main
release: release
enforcement: evaluate
releaseLog: RELEASES.md
evidence:   { maxAge: 1h30m, servedCommit: if-reported }
promotion:  { operators: [alice, bob], signedPush: required }
rollback:   { approvers: [alice, bob, carol], approvals: 2, approverMayPush: false, approvalMaxAge: 15m, target: landed }
environments:
  staging:
    url: https://staging.example.com
    servedCommit: { get: /health, json: build.commit }
    gates:
      - { name: health, get: /health, expect: { status: 200, json: { app_env: staging, debug_errors: false, db.host: { oneOf: [a, b] } } } }
      - name: chat-415
        post: /api/chat
        body: hi
        contentType: text/plain
        headers: { X-Test: "1" }
        timeout: 2s
        optional: true
        expect: { statusIn: [415, 422], bodyExcludes: [Traceback], headers: { Server: { absent: true }, x-id: { matches: "^[0-9]+$" } } }
  production:
    url: https://www.example.com
    gates:
      - { name: home, head: /, expect: { status: 200 } }
`

const MINIMAL = `version: 1
repository: git.example.com/app
staging: main
release: release
promotion: { operators: [alice] }
environments:
  staging:
    url: http://localhost:3000/app
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: chat, post: /chat, json: { message: hi }, expect: { bodyIncludes: [hello] } }
`

describe('a policy', () => {
  test('says all of this when every key is written', () => {
    const policy = parsePolicy(FULL)
    const { staging, production } = policy.environments
    expect({ ...policy, environments: undefined }).toEqual({
      version: 1,
      repository: 'git.example.com/app',
      staging: 'main',
      release: 'release',
      enforcement: 'evaluate',
      releaseLog: 'RELEASES.md',
      evidence: { maxAgeMs: 5_400_000, servedCommit: 'if-reported' },
      promotion: { operators: ['alice', 'bob'], signedPush: 'required', notes: 'optional' },
      rollback: {
        approvers: ['alice', 'bob', 'carol'],
        approvals: 2,
        approverMayPush: false,
        approvalMaxAgeMs: 900_000,
        target: 'landed',
        bar: 'commit',
      },
    })
    expect({ ...staging, configurationDigest: undefined }).toEqual({
      name: 'staging',
      url: 'https://staging.example.com',
      urls: ['https://staging.example.com'],
      servedCommit: { get: '/health', json: 'build.commit' },
      headers: {},
      gates: [
        {
          kind: 'http',
          name: 'health',
          optional: false,
          timeoutMs: 10_000,
          retries: null,
          after: null,
          request: { method: 'GET', path: '/health', headers: {}, body: null, redirects: 0 },
          expect: {
            statuses: [200],
            json: [
              { path: 'app_env', match: { kind: 'equals', value: 'staging' } },
              { path: 'debug_errors', match: { kind: 'equals', value: false } },
              { path: 'db.host', match: { kind: 'one-of', values: ['a', 'b'] } },
            ],
            headers: [],
            bodyIncludes: [],
            bodyExcludes: [],
            maxTimeMs: null,
          },
        },
        {
          kind: 'http',
          name: 'chat-415',
          optional: true,
          timeoutMs: 2000,
          retries: null,
          after: null,
          request: {
            method: 'POST',
            path: '/api/chat',
            headers: { 'x-test': '1', 'content-type': 'text/plain' },
            body: 'hi',
            redirects: 0,
          },
          expect: {
            statuses: [415, 422],
            json: [],
            headers: [
              { name: 'server', match: { kind: 'absent' } },
              { name: 'x-id', match: { kind: 'matches', pattern: '^[0-9]+$' } },
            ],
            bodyIncludes: [],
            bodyExcludes: ['Traceback'],
            maxTimeMs: null,
          },
        },
      ],
    })
    expect(production?.servedCommit).toBeNull()
    expect(production?.gates[0]).toMatchObject({ kind: 'http', request: { method: 'HEAD' } })
    expect(requiredGates(staging)).toEqual(['health'])
  })

  test('has these defaults when as little as possible is written', () => {
    const { environments, ...rest } = parsePolicy(MINIMAL)
    expect(rest).toEqual({
      version: 1,
      repository: 'git.example.com/app',
      staging: 'main',
      release: 'release',
      enforcement: 'enforce',
      releaseLog: 'docs/RELEASE_LOG.md',
      evidence: { maxAgeMs: 86_400_000, servedCommit: 'required' },
      promotion: { operators: ['alice'], signedPush: 'if-offered', notes: 'optional' },
      rollback: {
        approvers: ['alice'],
        approvals: 1,
        approverMayPush: true,
        approvalMaxAgeMs: 3_600_000,
        target: 'landed',
        bar: 'commit',
      },
    })
    expect(environments).not.toHaveProperty('production')
    expect(environments.staging.gates).toEqual([
      {
        kind: 'http',
        name: 'chat',
        optional: false,
        timeoutMs: 10_000,
        retries: null,
        after: null,
        request: {
          method: 'POST',
          path: '/chat',
          headers: { 'content-type': 'application/json' },
          body: '{"message":"hi"}',
          redirects: 0,
        },
        expect: {
          statuses: null,
          json: [],
          headers: [],
          bodyIncludes: ['hello'],
          bodyExcludes: [],
          maxTimeMs: null,
        },
      },
    ])
  })

  test('goes back to releases that passed smoke where there is a smoke test', () => {
    const production =
      '  production:\n    url: https://www.example.com\n    servedCommit: { get: /h, json: c }\n'
    const gates = '    gates: [{ name: home, get: /, expect: { status: 200 } }]\n'
    expect(parsePolicy(MINIMAL + production + gates).rollback.target).toBe('smoke-passed')
  })

  test.each([
    ['a byte order mark', `\ufeff${MINIMAL}`],
    ['CRLF', MINIMAL.replaceAll('\n', '\r\n')],
    ['document marks', `---\n${MINIMAL}...\n`],
  ])('is the same with %s', (_, text) => {
    expect(parsePolicy(text)).toEqual(parsePolicy(MINIMAL))
  })

  test('may ask others than the pusher where there are enough of them', () => {
    const rollback = 'rollback: { approvers: [carol, dave], approvals: 2, approverMayPush: false }\n'
    expect(parsePolicy(MINIMAL + rollback).rollback.approvals).toBe(2)
  })
})

describe('the configuration digest of an environment', () => {
  const digest = (text: string) => parsePolicy(text).environments.staging.configurationDigest

  test('is the SHA-256 of its canonical JSON as the file writes it', () => {
    const canonical =
      '{"gates":[{"expect":{"bodyIncludes":["hello"]},"json":{"message":"hi"},"name":"chat","post":"/chat"}],' +
      '"servedCommit":{"get":"/health","json":"commit"},"url":"http://localhost:3000/app"}'
    expect(digest(MINIMAL)).toBe(createHash('sha256').update(canonical).digest('hex'))
    expect(digest(MINIMAL)).toBe('9bc23c84e6c7b8c92711de48647bd7537424fcaf0cdabee145145d8cc618ecdc')
  })

  test.each<[string, (text: string) => string]>([
    ['comments and blank lines', (text) => `# hello\n\n${text.replaceAll('gates:', 'gates: # all')}`],
    ['the order of keys', (text) => text.replace('name: chat, post: /chat', 'post: /chat, name: chat')],
    ['quotes', (text) => text.replace('name: chat', 'name: "chat"')],
    ['the operators', (text) => text.replace('[alice]', '[bob]')],
  ])('does not change with %s', (_, change) => {
    expect(change(MINIMAL)).not.toBe(MINIMAL)
    expect(digest(change(MINIMAL))).toBe(digest(MINIMAL))
  })

  test.each<[string, (text: string) => string]>([
    ['a weaker expectation', (text) => text.replace('[hello]', '[h]')],
    ['a gate that becomes optional', (text) => text.replace('name: chat', 'name: chat, optional: true')],
    ['a default that is written out', (text) => text.replace('name: chat', 'name: chat, timeout: 10s')],
    ['another url', (text) => text.replace('3000', '3001')],
  ])('changes with %s', (_, change) => {
    expect(digest(change(MINIMAL))).not.toBe(digest(MINIMAL))
  })
})

describe('the published JSON Schema', () => {
  const schema = policyJsonSchema()

  test('is the one in docs/policy.schema.json', () => {
    const published = JSON.parse(
      readFileSync(new URL('../../docs/policy.schema.json', import.meta.url), 'utf8'),
    )
    expect(published, 'write policyJsonSchema() to the file anew').toEqual(schema)
  })

  test('describes every key', () => {
    const undescribed: string[] = []
    const visit = (node: unknown, path: string) => {
      if (typeof node !== 'object' || node === null) return
      for (const [key, value] of Object.entries(node)) visit(value, `${path}/${key}`)
      for (const [key, value] of Object.entries((node as { properties?: object }).properties ?? {})) {
        if (['oneOf', 'absent'].includes(key)) continue
        if (!('description' in value)) undescribed.push(`${path}/${key}`)
      }
    }
    visit(schema, '')
    expect(undescribed).toEqual([])
  })

  test('lets editors ask for an expectation of every request', () => {
    const environments = [
      'properties',
      'environments',
      'properties',
      'staging',
      'properties',
      'gates',
      'items',
    ]
    const gate = environments.reduce<any>((part, key) => part[key], schema)
    expect(gate.anyOf).toEqual([{ required: ['run'] }, { required: ['expect'] }])
  })

  test('knows every key that the parser knows, and no other', () => {
    const properties = (schema as { properties: object }).properties
    // With the default of `guard` the policy has no such key.
    const keys = ['guard', ...Object.keys(parsePolicy(FULL) satisfies Policy)]
    expect(Object.keys(properties).sort()).toEqual(keys.sort())
    expect(schema).toMatchObject({ additionalProperties: false })
  })
})

test('docs/policy-reference.md has an example that parses, and its digest', () => {
  const reference = readFileSync(new URL('../../docs/policy-reference.md', import.meta.url), 'utf8')
  const example = /```yaml\n(.*?)```/s.exec(reference)?.[1] ?? ''
  expect(reference).toContain(`\`${parsePolicy(example).environments.staging.configurationDigest}\``)
})
