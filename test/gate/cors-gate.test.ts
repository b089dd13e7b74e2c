import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { honest, run, serve } from './environment.ts'

const ORIGIN = 'https://not-allowed.example'
const ALLOW = 'access-control-allow-origin'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

const allow =
  (simple: string | string[] | null, preflight: string | string[] | null = null, status = 200): Answer =>
  (request, response) => {
    const value = request.method === 'OPTIONS' ? preflight : simple
    if (value !== null) response.setHeader(ALLOW, value)
    response.writeHead(status).end()
  }

const CASES: [title: string, answer: Answer, reason: string | null][] = [
  ['says nothing about origins', allow(null), null],
  ['allows another origin', allow('https://www.example.com', 'https://www.example.com'), null],
  ['refuses with 403', allow(null, null, 403), null],
  [
    'allows every origin',
    allow('*', '*'),
    'every origin is let in (*); preflight: every origin is let in (*)',
  ],
  ['allows every origin on the preflight only', allow(null, '*'), 'preflight: every origin is let in (*)'],
  ['echoes the origin', allow(ORIGIN), `the foreign origin ${ORIGIN} is let in`],
  [
    'echoes the origin on the preflight only',
    allow(null, ORIGIN),
    `preflight: the foreign origin ${ORIGIN} is let in`,
  ],
  ['echoes it in capitals', allow('HTTPS://NOT-ALLOWED.EXAMPLE'), `the foreign origin ${ORIGIN} is let in`],
  [
    'says it twice, the second time with *',
    allow(['https://www.example.com', '*']),
    'every origin is let in (*)',
  ],
  [
    'hides it in a list',
    allow(`https://www.example.com, ${ORIGIN}`),
    `the foreign origin ${ORIGIN} is let in`,
  ],
  ['is not there', allow(null, null, 404), 'status 404, expected 2xx or 400 or 401 or 403'],
  [
    'is broken',
    allow(null, null, 500),
    'status 500, expected 2xx or 400 or 401 or 403; preflight: status 500',
  ],
  [
    'does not answer the preflight',
    (request, response) => (request.method === 'OPTIONS' ? request.socket.destroy() : response.end()),
    'preflight: the connection closed before the answer was complete',
  ],
]

test.each(CASES)('an application that %s', async (_, answer, reason) => {
  const url = await serve(honest((request, response) => answer(request, response)))
  const { gates } = await run(url, [
    `{ name: cors, get: /api, origin: "${ORIGIN}", expect: { corsDenied: true } }`,
  ])
  expect(gates[0]?.reason).toBe(reason)
  expect(gates[0]?.outcome).toBe(reason === null ? 'passed' : 'failed')
})

test('a status that is named is expected of the request, not of its preflight', async () => {
  const url = await serve(
    honest((request, response) => response.writeHead(request.method === 'OPTIONS' ? 405 : 418).end()),
  )
  const { gates } = await run(url, [
    `{ name: cors, get: /api, origin: "${ORIGIN}", expect: { status: 418, corsDenied: true } }`,
  ])
  expect(gates[0]).toMatchObject({ outcome: 'passed', status: 418 })
})

test('the origin of a sandboxed frame is one to try, too', async () => {
  const gates = ['{ name: cors, get: /api, origin: "null", expect: { corsDenied: true } }']
  const answering = (value: string | null) => serve(honest((q, r) => allow(value)(q, r)))
  expect((await run(await answering(null), gates)).result).toBe('PASSED')
  const { gates: outcomes } = await run(await answering('null'), gates)
  expect(outcomes[0]?.reason).toBe('the foreign origin null is let in')
})

test('request and preflight say what a browser would say, and the preflight carries no secret', async () => {
  process.env.TEST_CORS_TOKEN = 'hunter2'
  const seen: unknown[] = []
  const url = await serve(
    honest((request, response) => {
      const { origin, authorization } = request.headers
      seen.push([
        request.method,
        origin,
        authorization,
        request.headers['access-control-request-method'],
        request.headers['access-control-request-headers'],
      ])
      response.end()
    }),
  )
  const result = await run(url, [
    `{ name: cors, post: /api, json: {}, headers: { authorization: { env: TEST_CORS_TOKEN } }, origin: "${ORIGIN}", expect: { corsDenied: true } }`,
  ])
  expect(seen.sort()).toEqual([
    ['OPTIONS', ORIGIN, undefined, 'POST', 'authorization,content-type'],
    ['POST', ORIGIN, 'hunter2', undefined, undefined],
  ])
  expect(JSON.stringify(result)).not.toContain('hunter2')
})

test('an origin alone is a header like any other', async () => {
  const url = await serve(
    honest((request, response) => response.setHeader(ALLOW, request.headers.origin ?? 'none').end()),
  )
  const { result } = await run(url, [
    '{ name: own, get: /api, origin: "https://www.example.com", expect: { headers: { access-control-allow-origin: "https://www.example.com" } } }',
  ])
  expect(result).toBe('PASSED')
})
