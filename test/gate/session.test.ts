import { describe, expect, test } from 'vitest'
import { CookieJar } from '../../src/gate/cookie-jar.ts'
import { COMMIT, environment, honest, run, serve } from './environment.ts'

describe('gates that follow each other', () => {
  const gates = [
    '{ name: whoami, get: /whoami, after: login, expect: { status: 200 } }',
    '{ name: login, post: /login, body: { env: LOGIN }, contentType: application/json, expect: { status: 200 } }',
    '{ name: alone, get: /alone, expect: { status: 200 } }',
  ]

  test('a gate waits for the one it names and sends its cookies; the others send none', async () => {
    const seen: unknown[] = []
    const url = await serve(
      honest((request, response) => {
        seen.push([request.url, request.headers.cookie])
        if (request.url === '/login') {
          response.setHeader('set-cookie', ['session=hunter2; HttpOnly; Path=/', 'other=1; Path=/elsewhere'])
        }
        const denied = request.url === '/whoami' && request.headers.cookie === undefined
        setTimeout(() => response.writeHead(denied ? 401 : 200).end(), request.url === '/login' ? 100 : 0)
      }),
    )
    const result = await run(url, gates, { variables: { LOGIN: '{"password":"hunter2"}' } })
    expect(result.result).toBe('PASSED')
    expect(seen.sort()).toEqual([
      ['/alone', undefined],
      ['/login', undefined],
      ['/whoami', 'session=hunter2'],
    ])
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })

  test('a gate whose predecessor fails is skipped, and that is not passed', async () => {
    const asked: string[] = []
    const url = await serve(
      honest((request, response) => {
        asked.push(request.url ?? '')
        response.writeHead(request.url === '/login' ? 500 : 200).end()
      }),
    )
    const result = await run(url, gates, { variables: { LOGIN: 'x' } })
    expect(asked.sort()).toEqual(['/alone', '/login'])
    expect(result.gates.map(({ name, outcome, reason }) => [name, outcome, reason])).toEqual([
      ['whoami', 'skipped', 'not run, since login did not pass'],
      ['login', 'failed', 'status 500, expected 200'],
      ['alone', 'passed', null],
    ])
    const optional = await run(url, [gates[0] ?? '', `{ optional: true, ${gates[1]?.slice(1)}`], {
      variables: { LOGIN: 'x' },
    })
    // Reports must not look as if all went well: no required gate failed.
    expect([optional.result, optional.problem]).toEqual(['FAILED', 'not run, but required: whoami'])
  })
})

describe('secrets', () => {
  const gate =
    '{ name: a, get: /a, headers: { authorization: { env: TOKEN, prefix: "Bearer " }, x-api-key: { env: KEY } }, expect: { status: 200 } }'

  test('come from the environment, and are in no result', async () => {
    let seen: unknown
    const url = await serve(
      honest((request, response) => {
        seen = [request.headers.authorization, request.headers['x-api-key']]
        response.writeHead(401).end()
      }),
    )
    const result = await run(url, [gate], { variables: { TOKEN: 'hunter2\n', KEY: 'hunter2-key' } })
    expect(seen).toEqual(['Bearer hunter2', 'hunter2-key'])
    expect(result.gates[0]?.reason).toBe('status 401, expected 200')
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })

  test("of the environment go along with every request, the served commit's included, unless a gate has its own", async () => {
    const seen: string[] = []
    const url = await serve((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      response.writeHead(request.headers.authorization === undefined ? 401 : 200)
      response.end(JSON.stringify({ commit: COMMIT }))
    })
    const made = environment(
      [
        '{ name: a, get: /a, expect: { status: 200 } }',
        '{ name: b, get: /b, headers: { Authorization: { env: OWN } }, expect: { status: 200 } }',
        '{ name: c, run: "true" }',
      ],
      undefined,
      '{ authorization: { env: DOOR, prefix: "Basic " } }',
    )
    const result = await run(url, made, { variables: { ...process.env, DOOR: 'hunter2', OWN: 'own' } })
    expect(result.result).toBe('PASSED')
    expect(seen.sort()).toEqual([
      'GET /a Basic hunter2',
      'GET /b own',
      'GET /health Basic hunter2',
      'GET /health Basic hunter2',
    ])
    expect(JSON.stringify(result)).not.toContain('hunter2')
    await expect(run(url, made, { variables: { OWN: 'own' } })).rejects.toThrow('not set: DOOR')
  })

  test('that are missing are an error before the first request', async () => {
    let asked = 0
    const url = await serve(() => asked++)
    await expect(run(url, [gate], { variables: { TOKEN: '' } })).rejects.toThrow(
      'the gates of staging need environment variables that are not set: TOKEN, KEY',
    )
    await expect(run(url, [gate], { variables: { TOKEN: 'a\r\nx: hunter2', KEY: 'x' } })).rejects.toThrow(
      /^the environment variable TOKEN holds what no header can carry$/,
    )
    expect(asked).toBe(0)
  })
})

describe('redirects', () => {
  const follow = (redirects: number, expect = '{ bodyIncludes: [here] }') =>
    `{ name: a, get: /0, redirects: ${redirects}, expect: ${expect} }`

  test('are followed as often as the policy says, with the cookies that they set', async () => {
    const url = await serve(
      honest((request, response) => {
        if (request.url === '/2') response.end(request.headers.cookie === 'a=1; b=2' ? 'here' : 'no cookie')
        else if (request.url === '/1')
          response.writeHead(302, { location: '/2', 'set-cookie': 'b=2; Path=/' }).end()
        else response.writeHead(301, { location: '1', 'set-cookie': 'a=1; Path=/' }).end()
      }),
    )
    expect((await run(url, [follow(2)])).gates[0]).toMatchObject({ outcome: 'passed', status: 200 })
    expect((await run(url, [follow(1)])).gates[0]?.reason).toBe('redirects more than 1 times')
    expect((await run(url, [follow(0)])).gates[0]?.reason).toContain('status 301 (a redirect, not followed)')
  })

  test('a login page at the end is what it is', async () => {
    const url = await serve(
      honest((request, response) => {
        if (request.url === '/login') response.end('<h1>Sign in')
        else response.writeHead(302, { location: '/login' }).end()
      }),
    )
    expect((await run(url, [follow(3)])).gates[0]?.reason).toBe('body does not contain "here"')
  })

  test('to another host take no secret, no cookie and no body along', async () => {
    const seen: unknown[] = []
    const other = await serve((request, response) => {
      seen.push([request.method, request.headers.authorization, request.headers.cookie])
      response.end('here')
    })
    const url = await serve(
      honest((request, response) => {
        const status = request.url === '/307' ? 307 : 302
        response.writeHead(status, { location: `${other}/x`, 'set-cookie': 'a=1; Path=/' }).end()
      }),
    )
    const gate = (path: string, method = 'post') =>
      `{ name: a, ${method}: ${path}, json: 1, redirects: 1, headers: { authorization: { env: TOKEN } }, expect: { bodyIncludes: [here] } }`
    const variables = { TOKEN: 'hunter2' }
    expect((await run(url, [gate('/302')], { variables })).result).toBe('PASSED')
    expect(seen).toEqual([['GET', undefined, undefined]])
    for (const again of [gate('/307'), gate('/302', 'put')]) {
      expect((await run(url, [again], { variables })).gates[0]?.reason).toBe(
        'redirects the body to another host',
      )
    }
    expect(seen).toHaveLength(1)
  })

  test.each([
    ['no URL', 'http://[hunter2'],
    ['a file', 'file:///etc/passwd'],
    ['a password', 'http://u:hunter2@127.0.0.1/'],
    ['nothing', ''],
  ])('to %s fail without repeating it', async (_, location) => {
    const url = await serve(
      honest((request, response) =>
        location === '' && request.url === '/0'
          ? response.writeHead(302).end()
          : response.writeHead(302, { location }).end(),
      ),
    )
    const result = await run(url, [follow(2)])
    expect(result.gates[0]?.reason).toBe('redirects to something that is no plain http or https URL')
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })

  test('to where nobody answers are a failure: the environment itself was reached', async () => {
    const location = 'http://127.0.0.1:1/hunter2'
    const url = await serve((_, response) => response.writeHead(302, { location }).end())
    const result = await run(url, environment([follow(1)], ''), { servedCommitMode: 'ignore' })
    expect(result.gates[0]).toMatchObject({
      outcome: 'failed',
      reason: 'redirects elsewhere: connection refused',
    })
  })

  test('in a circle end', async () => {
    const url = await serve(honest((_, response) => response.writeHead(302, { location: '/0' }).end()))
    expect((await run(url, [follow(10)])).gates[0]?.reason).toBe('redirects more than 10 times')
  })
})

describe('the cookie jar', () => {
  const NOW = Date.UTC(2026, 0, 1)
  const at = (text: string) => new URL(text)
  const sentTo = (line: string, url: string, from = 'https://a.example/x/y') => {
    const jar = new CookieJar()
    jar.take(at(from), [line], NOW)
    return jar.headerFor(at(url), NOW + 1000)
  }

  test.each([
    ['a=1', 'https://a.example/x/z', 'a=1'],
    ['a=1', 'https://a.example/other', null],
    ['a=1; Path=/', 'https://a.example/other', 'a=1'],
    ['a=1; Path=/x', 'https://a.example/xyz', null],
    ['a=1; Path=/; Domain=example', 'https://b.example/', null],
    ['a=1; Path=/; Domain=b.example', 'https://b.example/', null],
    ['a=1; Path=/; Secure', 'http://a.example/', null],
    ['a=1; Path=/; Max-Age=60', 'https://a.example/', 'a=1'],
    ['a=1; Path=/; Max-Age=0', 'https://a.example/', null],
    ['a=1; Path=/; Expires=Thu, 01 Jan 2015 00:00:00 GMT', 'https://a.example/', null],
    ['a=1\r\nx: y; Path=/', 'https://a.example/', null],
    [`a=${'x'.repeat(5000)}; Path=/`, 'https://a.example/', null],
  ])('%j, to %s', (line, url, expected) => {
    expect(line.includes('\r') ? null : sentTo(line, url)).toBe(expected)
  })

  test('a later cookie takes the place of an earlier one; a copy keeps its own', () => {
    const jar = new CookieJar()
    jar.take(at('https://a.example/'), ['a=1'], NOW)
    const copy = jar.copy()
    jar.take(at('https://a.example/'), ['a=2', 'b=3'], NOW)
    expect(jar.headerFor(at('https://a.example/'), NOW)).toBe('a=2; b=3')
    expect(copy.headerFor(at('https://a.example/'), NOW)).toBe('a=1')
  })
})
