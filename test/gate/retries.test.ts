import { expect, test } from 'vitest'
import { COMMIT, honest, OTHER, run, serve } from './environment.ts'

const flaky = (good: number, status = 503) => {
  const times: number[] = []
  return {
    times,
    url: serve(
      honest((_, response) => {
        times.push(performance.now())
        response.writeHead(times.length >= good ? 200 : status).end('hunter2')
      }),
    ),
  }
}

test('a gate is tried once, unless it asks for more', async () => {
  const { times, url } = flaky(2)
  expect((await run(await url, ['{ name: a, get: /a, expect: { status: 200 } }'])).result).toBe('FAILED')
  expect(times).toHaveLength(1)
})

test('a gate that passes later passes, with its attempts and the first reason on record', async () => {
  const { times, url } = flaky(3)
  const told: unknown[] = []
  const gate = '{ name: a, get: /a, retries: { times: 3, backOff: 60ms }, expect: { status: 200 } }'
  const result = await run(await url, [gate], { onRetry: (...all) => told.push(all) })
  expect(result.gates[0]).toMatchObject({
    outcome: 'passed',
    attempts: 3,
    status: 200,
    reason: 'attempt 1: status 503, expected 200',
  })
  expect(told).toEqual([
    ['a', 1, 'status 503, expected 200'],
    ['a', 2, 'status 503, expected 200'],
  ])
  const [first = 0, second = 0, third = 0] = times
  expect(second - first).toBeGreaterThanOrEqual(59)
  expect(third - second).toBeGreaterThanOrEqual(119)
})

test('a gate that never passes fails after all attempts', async () => {
  const { times, url } = flaky(99)
  const gate = '{ name: a, get: /a, retries: { times: 2, backOff: 1ms }, expect: { status: 200 } }'
  expect((await run(await url, [gate])).gates[0]).toMatchObject({
    outcome: 'failed',
    attempts: 3,
    reason: 'status 503, expected 200',
  })
  expect(times).toHaveLength(3)
})

test('Ctrl-C does not wait for the next attempt', async () => {
  const { url } = flaky(99)
  const stop = new AbortController()
  const started = performance.now()
  const gate = '{ name: a, get: /a, retries: { times: 10, backOff: 30s }, expect: { status: 200 } }'
  await expect(run(await url, [gate], { signal: stop.signal, onRetry: () => stop.abort() })).rejects.toThrow(
    /^interrupted/,
  )
  expect(performance.now() - started).toBeLessThan(20_000)
})

test('an answer that comes late enough to be too late fails by maxTime, not by the timeout', async () => {
  const url = await serve(honest((_, response) => void setTimeout(() => response.end(), 120)))
  const gates = [
    '{ name: a, get: /a, expect: { maxTime: 50ms } }',
    '{ name: b, get: /b, expect: { maxTime: 8s } }',
  ]
  const result = await run(url, gates)
  expect(result.gates[0]?.reason).toMatch(/^took \d+ ms, expected 50 ms at most$/)
  expect(result.gates[1]?.outcome).toBe('passed')
})

test.each([
  ['a class', '{ status: 4xx }', 415, null],
  ['another class', '{ status: 4xx }', 200, 'status 200, expected 4xx'],
  ['a class or a number', '{ statusIn: [2xx, 429] }', 429, null],
  ['neither', '{ statusIn: [2xx, 429] }', 404, 'status 404, expected 2xx or 429'],
])('statuses: %s', async (_, expected, status, reason) => {
  const url = await serve(honest((_, response) => response.writeHead(status).end()))
  expect((await run(url, [`{ name: a, get: /a, expect: ${expected} }`])).gates[0]?.reason).toBe(reason)
})

test('waits until the environment serves the commit, through other builds and none', async () => {
  let asked = 0
  const url = await serve((request, response) => {
    asked += 1
    if (asked === 1) return void request.socket.destroy()
    response.end(JSON.stringify({ commit: asked === 2 ? OTHER : COMMIT }))
  })
  const looks: string[] = []
  const gate = ['{ name: a, get: /a, expect: { status: 200 } }']
  const result = await run(url, gate, { waitMs: 60_000, onWait: (found) => looks.push(found) })
  expect(result.result).toBe('PASSED')
  expect(looks).toEqual([
    'GET /health: the connection closed before the answer was complete',
    `it serves ${OTHER}`,
  ])
})

test('a wait that ends in vain is a failed run that says what is served', async () => {
  const url = await serve(
    honest(
      (_, response) => response.end(),
      () => OTHER,
    ),
  )
  const gate = ['{ name: a, get: /a, expect: { status: 200 } }']
  const result = await run(url, gate, { waitMs: 300 })
  expect(result).toMatchObject({
    result: 'FAILED',
    problem: `staging serves ${OTHER}, not ${COMMIT}; no gate was run`,
  })
})

test('Ctrl-C ends a wait', async () => {
  const stop = new AbortController()
  const gate = ['{ name: a, get: /a, expect: { status: 200 } }']
  const promise = run('http://127.0.0.1:1', gate, {
    waitMs: 600_000,
    signal: stop.signal,
    onWait: () => stop.abort(),
  })
  await expect(promise).rejects.toThrow(/^interrupted/)
})

test('there is nothing to wait for where nobody asks for the commit', async () => {
  const gate = ['{ name: a, get: /a, expect: { status: 200 } }']
  await expect(run('http://127.0.0.1:1', gate, { waitMs: 1000, servedCommitMode: 'ignore' })).rejects.toThrow(
    'staging cannot be waited for: the policy does not ask it for its commit',
  )
})
