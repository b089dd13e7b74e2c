import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { environment, honest, OTHER, run, serve, serveRaw } from './environment.ts'

const json =
  (body: unknown, status = 200): RequestListener =>
  (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
/** Made once: it takes longer than a gate of these tests waits. */
const BOMB = gzipSync(Buffer.alloc(50_000_000, ' '))
const page = '<!doctype html><title>200 OK</title><p>All is well'

/** What the server does at /lie, and what the gate says about it. */
const LIES: [title: string, expect: string, lie: RequestListener, reason: string, status?: number | null][] =
  [
    ['500', '{ status: 200 }', json({}, 500), 'status 500, expected 200'],
    [
      'any 2xx where no status is named',
      '{ json: { ok: true } }',
      json({ ok: true }, 503),
      'status 503, expected 200 to 299',
    ],
    [
      '200 with an error body',
      '{ json: { ok: true } }',
      json({ error: 'db-hunter2' }),
      'json ok is missing, expected true',
    ],
    [
      'a text that says true',
      '{ json: { ok: true } }',
      json({ ok: 'true' }),
      'json ok is a text, expected true',
    ],
    [
      'another environment',
      '{ json: { app_env: staging } }',
      json({ app_env: 'production' }),
      'json app_env is not "staging"',
    ],
    [
      'a host off the list',
      '{ json: { db.host: { oneOf: [a.internal, b.internal] } } }',
      json({ db: { host: 'evil' } }),
      'json db.host is not one of "a.internal", "b.internal"',
    ],
    [
      'an inherited property',
      '{ json: { constructor.name: Object } }',
      json({}),
      'json constructor.name is missing, expected "Object"',
    ],
    ['a web page for JSON', '{ json: { ok: true } }', (_, r) => r.end(page), 'the answer is not JSON'],
    ['nothing for JSON', '{ json: { ok: true } }', (_, r) => r.end(), 'the answer is not JSON'],
    [
      'nested brackets',
      '{ json: { ok: true } }',
      (_, r) => r.end('['.repeat(500_000)),
      'the answer is not JSON',
    ],
    [
      'text that is not UTF-8',
      '{ bodyExcludes: [x] }',
      (_, r) => r.end(Buffer.from([0xff, 0xfe, 0])),
      'the answer is not text in the character set that it declares',
    ],
    [
      'a stack trace',
      '{ bodyExcludes: [Traceback] }',
      (_, r) => r.end('Traceback (most recent call last)'),
      'body contains "Traceback"',
    ],
    [
      'a stack trace in UTF-16',
      '{ bodyExcludes: [Traceback] }',
      (_, r) =>
        r
          .writeHead(200, { 'content-type': 'text/plain; charset=utf-16le' })
          .end(Buffer.from('Traceback', 'utf16le')),
      'body contains "Traceback"',
    ],
    [
      'a stack trace in UTF-16 that nobody declares',
      '{ bodyExcludes: [Traceback] }',
      (_, r) => r.end(Buffer.from('Traceback', 'utf16le')),
      'the answer is not text in the character set that it declares',
    ],
    [
      'a stack trace declared to be what it is not',
      '{ bodyExcludes: [Traceback] }',
      (_, r) => r.writeHead(200, { 'content-type': 'text/plain; charset=utf-16le' }).end('Traceback '),
      'body contains "Traceback"',
    ],
    [
      'a key twice, which programs read differently',
      '{ json: { debug_errors: false } }',
      (_, r) => r.end('{ "debug_errors": true, "debug\\u005ferrors": false }'),
      'the answer is JSON with a key twice',
    ],
    [
      'a text that a pattern never ends with',
      '{ json: { v: { matches: "^(a+)+$" } } }',
      json({ v: `${'a'.repeat(40)}!` }),
      'json v is not text that matches "^(a+)+$"',
    ],
    [
      'a redirect to a login page',
      '{ status: 200 }',
      (request, r) => (request.url === '/lie' ? r.writeHead(302, { location: '/login' }).end() : r.end(page)),
      'status 302 (a redirect, not followed), expected 200',
    ],
    [
      'a gzip bomb',
      '{ json: { ok: true } }',
      (_, r) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(BOMB),
      'the answer is compressed, although headgate asks for it plain',
    ],
    [
      'an endless body',
      '{ status: 200 }',
      (_, r) => {
        const more = () => {
          while (!r.destroyed && r.write('x'.repeat(65_536))) {}
          if (!r.destroyed) r.once('drain', more)
        }
        more()
      },
      'the answer is larger than 1 MiB',
      200,
    ],
    [
      'a slow drip',
      '{ status: 200 }',
      (_, r) => {
        r.writeHead(200)
        const drip = setInterval(() => r.write('.'), 50)
        r.on('close', () => clearInterval(drip))
      },
      'the answer was not complete within 1500 ms',
      200,
    ],
    ['no answer', '{ status: 200 }', () => undefined, 'no answer within 1500 ms', null],
    [
      'endless 102 Processing',
      '{ status: 200 }',
      (_, r) => {
        const again = setInterval(() => r.writeProcessing(), 20)
        r.on('close', () => clearInterval(again))
      },
      'no answer within 1500 ms',
      null,
    ],
    [
      'a reset',
      '{ status: 200 }',
      (_, r) => (r.socket as Socket).resetAndDestroy(),
      'the connection was reset',
      null,
    ],
    [
      'a reset in the body',
      '{ status: 200 }',
      (_, r) => {
        r.writeHead(200, { 'content-length': '100' }).write('half')
        setTimeout(() => r.socket?.destroy(), 50)
      },
      'the answer is not as long as it says',
      200,
    ],
    [
      'an error and an endless body',
      '{ status: 200 }',
      (_, r) => r.writeHead(500).end('x'.repeat(2_000_000)),
      'status 500, expected 200; the answer is larger than 1 MiB',
      500,
    ],
    [
      'a header twice',
      '{ headers: { x-frame-options: DENY } }',
      (_, r) => r.setHeader('x-frame-options', ['DENY', 'ALLOWALL']).end(),
      'header x-frame-options is there more than once',
    ],
    [
      'a missing header',
      '{ headers: { x-frame-options: DENY } }',
      (_, r) => r.end(),
      'header x-frame-options is missing, expected "DENY"',
    ],
    [
      'a header that gives too much away',
      '{ headers: { server: { absent: true } } }',
      (_, r) => r.setHeader('server', 'hunter2').end(),
      'header server is there, expected to be absent',
    ],
  ]

describe('a gate fails, and says why without repeating the answer', () => {
  test.concurrent.each(LIES)('%s', async (_, expected, lie, reason, status) => {
    const url = await serve(honest(lie))
    // Short only where the time is what ends it: machines that test are slow at times.
    const timeout = reason.includes(' within ') ? '1500ms' : '1m'
    const { gates, result, problem } = await run(url, [
      `{ name: lie, get: /lie, timeout: ${timeout}, expect: ${expected} }`,
    ])
    expect({ result, problem, outcome: gates[0]?.outcome, reason: gates[0]?.reason }).toEqual({
      result: 'FAILED',
      problem: null,
      outcome: 'failed',
      reason,
    })
    if (status !== undefined) expect(gates[0]?.status).toBe(status)
    expect(JSON.stringify(gates)).not.toContain('hunter2')
  })
})

describe('answers that are no HTTP', () => {
  const RAW: [title: string, bytes: string, reason: string][] = [
    ['a banner', 'SSH-2.0-OpenSSH_9.2\r\n', 'the answer is not valid HTTP'],
    [
      'a chunk length of hunter2',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2\r\n',
      'the answer is not valid HTTP',
    ],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
      'the answer is not as long as it says',
    ],
    [
      'a header that never ends',
      `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`,
      'the headers of the answer are too large',
    ],
    [
      'a body that is cut',
      'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort',
      'the connection closed before the answer was complete',
    ],
    ['silence', '', 'the connection closed before the answer was complete'],
  ]
  test.each(RAW)('%s', async (_, bytes, reason) => {
    const url = await serveRaw((socket) => socket.end(bytes, 'latin1'))
    const gates = ['{ name: lie, get: /lie, timeout: 5s, expect: { status: 200 } }']
    const outcome = (await run(url, environment(gates, ''), { servedCommitMode: 'ignore' })).gates[0]
    expect(outcome?.reason).toBe(reason)
    expect(JSON.stringify(outcome)).not.toContain('hunter2')
  })

  test('a reset in an answer that says nowhere how long it is', async () => {
    const url = await serveRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nhalf')
      setTimeout(() => socket.resetAndDestroy(), 50)
    })
    const gates = ['{ name: lie, get: /lie, expect: { status: 200 } }']
    const outcome = (await run(url, environment(gates, ''), { servedCommitMode: 'ignore' })).gates[0]
    expect([outcome?.outcome, outcome?.reason]).toEqual(['failed', 'the connection was reset'])
  })

  test('HTTP/1.0 is HTTP: the answer ends with the connection', async () => {
    const url = await serveRaw((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\n\ufeff{"ok":true}', 'utf8'))
    const gates = ['{ name: plain, get: /plain, expect: { json: { ok: true } } }']
    const outcome = (await run(url, environment(gates, ''), { servedCommitMode: 'ignore' })).gates[0]
    expect(outcome).toMatchObject({ outcome: 'passed', reason: null })
  })

  test("a second answer on the same connection is nobody's answer", async () => {
    const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'
    let connections = 0
    const url = await serveRaw((socket) => {
      connections += 1
      if (connections === 1) socket.end(ok + ok)
      else socket.end('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n')
    })
    const gates = [1, 2].map((n) => `{ name: lie-${n}, get: /lie, expect: { status: 200 } }`)
    const outcomes = (await run(url, environment(gates, ''), { servedCommitMode: 'ignore' })).gates
    expect(outcomes.map((gate) => gate.status).sort()).toEqual([200, 500])
  })
})

describe('an environment that serves something else', () => {
  const gate = ['{ name: pay, post: /pay, json: { amount: 1 }, expect: { status: 200 } }']
  /** Builds that the server reports in turn, and how the run ends. */
  const BUILDS: [
    title: string,
    reports: unknown[],
    mode: 'required' | 'if-reported' | 'ignore',
    problem: string | null,
    paid: number,
  ][] = [
    ['stale', [OTHER], 'required', `staging serves ${OTHER}, not COMMIT; no gate was run`, 0],
    [
      'stale, reporting not demanded',
      [OTHER],
      'if-reported',
      `staging serves ${OTHER}, not COMMIT; no gate was run`,
      0,
    ],
    ['stale, and nobody asks', [OTHER], 'ignore', null, 1],
    [
      'swapped halfway',
      ['COMMIT', OTHER],
      'required',
      `after the gates, staging serves ${OTHER}, not COMMIT`,
      1,
    ],
    [
      'silent',
      [null],
      'required',
      'staging does not report its commit: GET /health has nothing at json commit; no gate was run',
      0,
    ],
    ['silent, reporting not demanded', [null], 'if-reported', null, 1],
    [
      'silent at first',
      [null, 'COMMIT'],
      'if-reported',
      'staging reported its commit only after the gates: another build took over',
      1,
    ],
    [
      'silent at last',
      ['COMMIT', null],
      'if-reported',
      'staging reported its commit only before the gates: another build took over',
      1,
    ],
    [
      'abbreviated',
      ['3f2c1ab'],
      'required',
      'staging does not report a full commit id: GET /health has an abbreviated or malformed commit id at json commit; the full lowercase id is needed; no gate was run',
      0,
    ],
    [
      'in capitals',
      ['3F2C1AB000000000000000000000000000000001'],
      'if-reported',
      'staging does not report a full commit id: GET /health has an abbreviated or malformed commit id at json commit; the full lowercase id is needed; no gate was run',
      0,
    ],
    [
      'something else',
      ['\u001b[31mhunter2'],
      'if-reported',
      'staging does not report a full commit id: GET /health has something that is no commit id at json commit; the full lowercase id is needed; no gate was run',
      0,
    ],
    ['with white space around it', [' COMMIT\n'], 'required', null, 1],
    ['honest', ['COMMIT'], 'required', null, 1],
  ]
  const commit = '3f2c1ab000000000000000000000000000000001'
  const real = <T>(value: T) => (typeof value === 'string' ? value.replaceAll('COMMIT', commit) : value)

  test.each(BUILDS)('%s', async (_, reports, mode, problem, paid) => {
    let asked = 0
    let payments = 0
    const url = await serve(
      honest(
        (_request, response) => {
          payments += 1
          response.end()
        },
        () => real(reports[Math.min(asked++, reports.length - 1)]),
      ),
    )
    const result = await run(url, gate, { servedCommitMode: mode })
    expect(result.problem).toBe(real(problem))
    expect(result.result).toBe(problem === null ? 'PASSED' : 'FAILED')
    expect(payments).toBe(paid)
    expect(result.gates.map(({ outcome }) => outcome)).toEqual([paid === 0 ? 'skipped' : 'passed'])
    expect(JSON.stringify(result)).not.toContain('hunter2')
  })

  test('one that fails while it is asked fails the run', async () => {
    const url = await serve((_, response) => response.writeHead(503).end('hunter2'))
    const { problem } = await run(url, gate)
    expect(problem).toBe('staging does not report its commit: GET /health has status 503; no gate was run')
  })

  test('one that goes away during the gates fails the run', async () => {
    let asked = 0
    const url = await serve((request, response) => {
      if (request.url === '/health' && asked++ > 0) request.socket.destroy()
      else response.end(JSON.stringify({ commit }))
    })
    const { problem, servedCommit, gates } = await run(url, gate)
    expect(problem).toBe(
      'after the gates, staging could not be asked for its commit: GET /health: the connection closed before the answer was complete',
    )
    expect(servedCommit).toEqual({ before: commit, after: null })
    expect(gates[0]?.outcome).toBe('passed')
  })

  test('an error is one of ours, whatever is thrown', async () => {
    await expect(run('http://127.0.0.1:1', gate)).rejects.toBeInstanceOf(HeadgateError)
  })
})
