import type { RequestListener } from 'node:http'
import { expect, test } from 'vitest'
import { StartingLine } from '../../src/gate/concurrently.ts'
import { honest, run, serve } from './environment.ts'

const gate = (more = 'expect: { statusIn: [200, 429] }') =>
  `{ name: burst, post: /chat, json: { message: hi }, burst: { requests: 20, concurrency: 10 }, ${more} }`

/**
 * Answers /chat with these statuses in turn, and measures how many requests are there at the same time. The first ones
 * wait until ten are there, so that a slow machine gives the same numbers.
 */
function chat(statusOf: (count: number) => number) {
  const seen = { requests: 0, now: 0, most: 0 }
  const waiting: (() => void)[] = []
  const handler: RequestListener = (_, response) => {
    seen.most = Math.max(seen.most, ++seen.now)
    const status = statusOf(++seen.requests)
    waiting.push(() => {
      seen.now -= 1
      response.writeHead(status).end('hunter2')
    })
    if (seen.most >= 10) for (const answer of waiting.splice(0)) setTimeout(answer, 30)
  }
  return { seen, handler }
}

test('sends all requests, as many at once as it says, and counts the statuses', async () => {
  const { seen, handler } = chat((count) => (count > 12 ? 429 : 200))
  const result = await run(await serve(honest(handler)), [gate()])
  expect(seen).toEqual({ requests: 20, now: 0, most: 10 })
  expect(result.gates[0]).toMatchObject({
    outcome: 'passed',
    status: null,
    statuses: { 200: 12, 429: 8 },
    attempts: 1,
    reason: null,
  })
})

test('the first requests wait for each other, and for none that has ended or takes too long', async () => {
  const started: string[] = []
  const waitAt = (line: StartingLine, name: string, number: number) =>
    line.wait(number).then(() => void started.push(name))
  const line = new StartingLine(3, 60_000)
  const first = waitAt(line, 'first', 0)
  line.arrive(0)
  line.arrive(1)
  await Promise.resolve()
  expect(started).toEqual([])
  await waitAt(line, 'last', 2)
  await first
  expect(started.sort()).toEqual(['first', 'last'])
  await waitAt(new StartingLine(2, 1), 'alone', 0)
})

test('one 500 in twenty fails it', async () => {
  const { handler } = chat((count) => (count === 13 ? 500 : 200))
  const result = await run(await serve(honest(handler)), [gate()])
  expect(result.result).toBe('FAILED')
  expect(result.gates[0]).toMatchObject({
    outcome: 'failed',
    statuses: { 200: 19, 500: 1 },
    reason: '1 of 20: status 500, expected 200 or 429',
  })
})

test('without a status, everything but 2xx fails it', async () => {
  const { handler } = chat((count) => (count > 18 ? 429 : 201))
  const result = await run(await serve(honest(handler)), [gate('expect: { bodyExcludes: [Traceback] }')])
  expect(result.gates[0]?.reason).toBe('2 of 20: status 429, expected 200 to 299')
})

test('what is expected holds for every answer', async () => {
  let count = 0
  const handler: RequestListener = (_, response) => response.end(++count === 7 ? 'Traceback: hunter2' : 'ok')
  const result = await run(await serve(honest(handler)), [gate('expect: { bodyExcludes: [Traceback] }')])
  expect(result.gates[0]?.reason).toBe('1 of 20: body contains "Traceback"')
})

test('a request without an answer fails it, and is counted', async () => {
  let count = 0
  const handler: RequestListener = (request, response) => {
    if (++count === 5) request.socket.destroy()
    else response.end()
  }
  const result = await run(await serve(honest(handler)), [gate()])
  expect(result.gates[0]).toMatchObject({
    statuses: { 200: 19, none: 1 },
    reason: '1 of 20: the connection closed before the answer was complete',
  })
})

test('hundreds of different statuses do not fill the evidence', async () => {
  let count = 0
  const handler: RequestListener = (_, response) => response.writeHead(400 + (++count % 100)).end()
  const burst = '{ name: burst, get: /x, burst: { requests: 100, concurrency: 50 }, expect: { status: 200 } }'
  const result = await run(await serve(honest(handler)), [burst])
  expect(Object.keys(result.gates[0]?.statuses ?? {})).toHaveLength(9)
  expect(result.gates[0]?.statuses?.other).toBe(92)
  expect(result.gates[0]?.reason?.length).toBeLessThanOrEqual(300)
})

test('is sent when everything else is done, one burst after the other', async () => {
  const order: string[] = []
  const handler: RequestListener = (request, response) => {
    const name = request.url ?? ''
    if (order.at(-1) !== name) order.push(name)
    setTimeout(() => response.end(), name === '/slow' ? 150 : 10)
  }
  const burst = (name: string) =>
    `{ name: ${name}, get: /${name}, burst: { requests: 10, concurrency: 5 }, expect: { status: 200 } }`
  const result = await run(await serve(honest(handler)), [
    burst('first'),
    '{ name: slow, get: /slow, expect: { status: 200 } }',
    burst('second'),
  ])
  expect(order).toEqual(['/slow', '/first', '/second'])
  expect(result.gates.map(({ name }) => name)).toEqual(['first', 'slow', 'second'])
  expect(result.result).toBe('PASSED')
})
