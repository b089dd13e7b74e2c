import { networkInterfaces } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import type { Environment, HttpGate } from '../../src/core/policy/policy.ts'
import { COMMIT, environment, honest, run, serve } from './environment.ts'

afterEach(() => vi.unstubAllEnvs())

const ok = honest((_, response) => response.end('{"ok":true}'))

async function errorOf(promise: Promise<unknown>): Promise<HeadgateError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(HeadgateError)
  return error as HeadgateError
}

describe('a run', () => {
  test('reports every gate in the order of the policy, whatever their order in time', async () => {
    const url = await serve(
      honest((request, response) => {
        setTimeout(() => response.end(), request.url === '/slow' ? 150 : 0)
      }),
    )
    const told: string[] = []
    const result = await run(
      url,
      [
        '{ name: slow, get: /slow, expect: { status: 200 } }',
        '{ name: fast, get: /fast, expect: { status: 200 } }',
      ],
      { onGate: ({ name }) => told.push(name) },
    )
    expect(told).toEqual(['fast', 'slow'])
    expect(result.gates.map(({ name, durationMs, ...rest }) => ({ name, ...rest }))).toEqual([
      {
        name: 'slow',
        outcome: 'passed',
        optional: false,
        status: 200,
        statuses: null,
        attempts: 1,
        reason: null,
      },
      {
        name: 'fast',
        outcome: 'passed',
        optional: false,
        status: 200,
        statuses: null,
        attempts: 1,
        reason: null,
      },
    ])
    expect(result).toMatchObject({
      environment: 'staging',
      baseUrl: url,
      result: 'PASSED',
      problem: null,
      servedCommit: { before: COMMIT, after: COMMIT },
    })
    expect(result.startedAt <= result.finishedAt).toBe(true)
  })

  test('sends sixteen gates at once and no more', async () => {
    let now = 0
    let most = 0
    const url = await serve(
      honest((_, response) => {
        most = Math.max(most, ++now)
        setTimeout(() => {
          now -= 1
          response.end()
        }, 100)
      }),
    )
    const gates = Array.from({ length: 40 }, (_, at) => `{ name: g${at}, get: /g, expect: { status: 200 } }`)
    expect((await run(url, gates)).result).toBe('PASSED')
    expect(most).toBe(16)
  })

  test.each([
    ['only optional gates failed', ['optional: true'], 'WARNED'],
    ['a required gate failed', ['optional: false'], 'FAILED'],
    ['both failed', ['optional: true', 'optional: false'], 'FAILED'],
  ])('when %s', async (_, flags, expected) => {
    const url = await serve(ok)
    const gates = flags.map((flag, at) => `{ name: g${at}, get: /g, ${flag}, expect: { status: 404 } }`)
    const result = await run(url, [...gates, '{ name: good, get: /g, expect: { json: { ok: true } } }'])
    expect(result.result).toBe(expected)
  })

  test('sends exactly what the policy says, below the path of the base URL', async () => {
    const seen: unknown[] = []
    const url = await serve((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        const { 'content-type': type, 'x-test': own, 'accept-encoding': encoding, cookie } = request.headers
        seen.push([request.method, request.url, type, own, body, encoding, cookie])
        response.setHeader('set-cookie', 'session=1').end(JSON.stringify({ commit: COMMIT }))
      })
    })
    const gates = environment(
      [
        '{ name: a, post: "/chat?x=1", json: { message: hi }, headers: { X-Test: yes! }, expect: { status: 200 } }',
        '{ name: b, put: /raw, body: hi, contentType: text/x, expect: { status: 200 } }',
        '{ name: c, delete: /thing, expect: { status: 200 } }',
        '{ name: d, head: /thing, expect: { status: 200 } }',
        '{ name: e, post: /empty, expect: { status: 200 } }',
      ],
      '',
    )
    const result = await run(`${url}/app/`, gates, { servedCommitMode: 'ignore' })
    expect(result.baseUrl).toBe(`${url}/app`)
    expect(seen.sort()).toEqual([
      ['DELETE', '/app/thing', undefined, undefined, '', 'identity', undefined],
      ['HEAD', '/app/thing', undefined, undefined, '', 'identity', undefined],
      ['POST', '/app/chat?x=1', 'application/json', 'yes!', '{"message":"hi"}', 'identity', undefined],
      ['POST', '/app/empty', undefined, undefined, '', 'identity', undefined],
      ['PUT', '/app/raw', 'text/x', undefined, 'hi', 'identity', undefined],
    ])
  })

  test('uses no proxy from the environment', async () => {
    let proxied = 0
    const proxy = await serve((_, response) => {
      proxied += 1
      response.end()
    })
    for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, proxy)
    vi.stubEnv('NODE_USE_ENV_PROXY', '1')
    const url = await serve(ok)
    expect((await run(url, ['{ name: g, get: /g, expect: { status: 200 } }'])).result).toBe('PASSED')
    expect(proxied).toBe(0)
  })

  const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  )
  test.skipIf(!hasIpv6)('reaches a server that has IPv6 only', async () => {
    const url = await serve(ok, { host: '::1' })
    expect((await run(url, ['{ name: g, get: /g, expect: { status: 200 } }'])).result).toBe('PASSED')
  })
})

describe('a run that learns nothing is an error, not evidence', () => {
  const gates = [
    '{ name: g, get: /g, expect: { status: 200 } }',
    '{ name: h, get: /h, expect: { status: 200 } }',
  ]

  test('connection refused', async () => {
    const error = await errorOf(run('http://127.0.0.1:1/app', gates))
    expect([error.code, error.message]).toEqual([
      'unavailable',
      'staging at http://127.0.0.1:1/app cannot be reached: connection refused',
    ])
    expect(error.hint).toBeDefined()
  })

  test('connection refused, where nobody asks for the commit', async () => {
    const error = await errorOf(
      run('http://127.0.0.1:1', environment(gates, ''), { servedCommitMode: 'ignore' }),
    )
    expect(error.message).toBe('staging at http://127.0.0.1:1 cannot be reached: connection refused')
  })

  test('a host name that does not resolve', async () => {
    const error = await errorOf(run('http://no-such-host.invalid', gates))
    expect(error.message).toMatch(
      /^staging at http:\/\/no-such-host\.invalid cannot be reached: the host name /,
    )
  })

  test('Ctrl-C stops every gate and records nothing', async () => {
    let closed = 0
    const url = await serve(honest((request) => request.socket.on('close', () => closed++)))
    const stop = new AbortController()
    const started = performance.now()
    setTimeout(() => stop.abort(), 200)
    const error = await errorOf(run(url, gates, { signal: stop.signal }))
    expect([error.code, error.message]).toEqual([
      'unavailable',
      'interrupted before the gates of staging ended; nothing is recorded',
    ])
    expect(performance.now() - started).toBeLessThan(2000)
    await wait(100)
    expect(closed).toBe(2)
  })

  test('interrupted before it began, it sends nothing', async () => {
    let asked = 0
    const url = await serve(() => asked++)
    const error = await errorOf(run(url, gates, { signal: AbortSignal.abort() }))
    expect(error.message).toMatch(/^interrupted/)
    expect(asked).toBe(0)
  })

  test('an environment without gates, or that says no commit where one is required', async () => {
    const none = { ...environment(gates), gates: [] }
    expect((await errorOf(run('http://127.0.0.1:1', none))).message).toBe('staging has no gates')
    const mute = environment(gates, '')
    expect((await errorOf(run('http://127.0.0.1:1', mute))).message).toBe(
      'staging does not say where it reports its commit',
    )
  })

  test.each([
    ['https://bob:hunter2@staging.example.com', 'the base URL must not carry a user name or password'],
    ['https://staging.example.com/?token=hunter2', 'the base URL must have neither query nor fragment'],
    ['ftp://hunter2', 'the base URL must be a URL like https://staging.example.com'],
    ['https://staging.example.com\r\nhunter2', 'the base URL must be a URL like https://staging.example.com'],
    ['', 'the base URL must be a URL like https://staging.example.com'],
  ])('a base URL that is none is refused and not repeated: %j', async (baseUrl, message) => {
    const error = await errorOf(run(baseUrl, gates))
    expect([error.code, error.message]).toEqual(['usage', message])
  })

  test('an abbreviated commit is refused', async () => {
    expect((await errorOf(run('http://127.0.0.1:1', gates, { commit: '3f2c1ab' }))).code).toBe('usage')
  })
})

describe('a gate that was not made by the policy parser', () => {
  const hostile = (request: Partial<HttpGate['request']>): Environment => {
    const made = environment(['{ name: g, get: /g, expect: { status: 200 } }'])
    const gate = made.gates[0] as HttpGate
    return { ...made, gates: [{ ...gate, request: { ...gate.request, ...request } }] }
  }

  test.each([
    ['a line break in a header', { headers: { 'x-a': 'a\r\nx-b: hunter2' } }],
    ['a line break in a header name', { headers: { 'x-a: 1\r\nx-b': 'hunter2' } }],
    ['a line break in the path', { path: '/g HTTP/1.1\r\nx-b: hunter2\r\n\r\n' }],
  ])('cannot smuggle %s', async (_, request) => {
    let smuggled = 0
    const url = await serve(
      honest((incoming, response) => {
        if (incoming.headers['x-b'] !== undefined || incoming.url !== '/g') smuggled += 1
        response.end()
      }),
    )
    const result = await run(url, hostile(request))
    expect(result.result).toBe('FAILED')
    expect(result.gates[0]?.reason).toBe('the request cannot be written as HTTP')
    expect(smuggled).toBe(0)
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })
})

test('nothing that was sent or answered is in the result', async () => {
  const secret = (kind: string) => `hunter2-${kind}`
  const url = await serve(
    honest((request, response) => {
      const status = Number(/\d+/.exec(request.url ?? '')?.[0] ?? 200)
      response.writeHead(status, secret('phrase'), {
        'set-cookie': secret('cookie'),
        location: secret('location'),
        'x-secret': secret('header'),
        'content-type': `text/html; charset=${secret('charset')}`,
      })
      response.end(`{"${secret('key')}": "${secret('body')}", "a": "${secret('value')}"}`)
    }),
  )
  const send = 'json: { message: hunter2-payload }, headers: { x-own: hunter2-own }'
  const result = await run(url, [
    `{ name: status, post: /500, ${send}, expect: { status: 200 } }`,
    `{ name: redirect, post: /302, ${send}, expect: { status: 200 } }`,
    `{ name: json, post: /200, ${send}, expect: { json: { a: b } } }`,
    `{ name: header, post: /200, ${send}, expect: { headers: { x-secret: { matches: "^z" }, set-cookie: { absent: true } } } }`,
    `{ name: text, post: /200, ${send}, expect: { bodyIncludes: [Welcome] } }`,
    `{ name: passed, post: /200, ${send}, expect: { status: 200 } }`,
  ])
  expect(result.gates.map(({ outcome }) => outcome)).toEqual([...Array(5).fill('failed'), 'passed'])
  expect(JSON.stringify(result)).not.toContain('hunter2')
})
