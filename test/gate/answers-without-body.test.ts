/** Interim answers, and answers that end with their headers whatever those say: RFC 9110, section 15.2; RFC 9112, 6.3. */
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parseBaseUrl } from '../../src/gate/base-url.ts'
import { type Exchange, exchange, type HttpRequest } from '../../src/gate/http-exchange.ts'
import { serveRaw } from './environment.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

/** How a server sends the bytes of its answer, and what it does with the connection then. */
const WAYS: Record<string, (socket: Socket, text: string) => Promise<void>> = {
  'in one piece, and closes': async (socket, text) => void socket.end(text, 'latin1'),
  'in one piece, and waits': async (socket, text) => void socket.write(text, 'latin1'),
  'byte for byte': async (socket, text) => {
    socket.setNoDelay(true)
    for (const byte of text) {
      socket.write(byte, 'latin1')
      await pause(1)
    }
  },
}

async function answer(method: HttpRequest['method'], text: string, way: string): Promise<Exchange> {
  const url = await serveRaw((socket) => void WAYS[way]?.(socket, text))
  const request = { method, path: '/', headers: {}, body: method === 'POST' ? 'x' : null }
  return exchange(parseBaseUrl(url), request, {
    timeoutMs: 20_000,
    signal: new AbortController().signal,
  })
}

const ANSWERS: [title: string, method: HttpRequest['method'], text: string, status: number, body: string][] =
  [
    ['a 100 that nobody asked for', 'GET', CONTINUE + OK, 200, 'ok'],
    ['a 100 to a body', 'POST', CONTINUE + OK, 200, 'ok'],
    ['several', 'POST', CONTINUE.repeat(30) + OK, 200, 'ok'],
    ['a 100 without a reason', 'GET', `HTTP/1.1 100\r\n\r\n${OK}`, 200, 'ok'],
    ['a 100 with headers', 'GET', `HTTP/1.1 100 Go\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n${OK}`, 200, 'ok'],
    ['a 102', 'GET', `HTTP/1.1 102 Processing\r\n\r\n${OK}`, 200, 'ok'],
    ['a 103', 'GET', `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n${OK}`, 200, 'ok'],
    ['an unknown one', 'GET', `HTTP/1.1 199 Odd\r\n\r\n${CONTINUE}${OK}`, 200, 'ok'],
    ['one to HEAD', 'HEAD', `${CONTINUE}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n`, 200, ''],
    ['one before a 204', 'DELETE', `${CONTINUE}HTTP/1.1 204 No Content\r\n\r\n`, 204, ''],
    [
      'a body that looks like one',
      'GET',
      `HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n${CONTINUE}`,
      200,
      CONTINUE,
    ],
    ['204 with a length', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', 204, ''],
    ['204 with a body', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello', 204, ''],
    ['204 with a body of no length', 'GET', 'HTTP/1.1 204 No Content\r\n\r\nhello', 204, ''],
    ['204 in chunks', 'GET', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', 204, ''],
    ['204 to OPTIONS', 'OPTIONS', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', 204, ''],
    ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 304, ''],
    ['304 with a body', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello', 304, ''],
    ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 200, ''],
    ['HEAD in chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 200, ''],
    ['HEAD with a body', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 200, ''],
    ['HEAD without any length', 'HEAD', 'HTTP/1.1 200 OK\r\n\r\n', 200, ''],
    [
      '205 with a length of nothing',
      'GET',
      'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n',
      205,
      '',
    ],
  ]

test.for(Object.keys(WAYS).flatMap((way) => ANSWERS.map((one) => [one[0], way, one] as const)))(
  '%s is an answer (%s)',
  async ([, way, [, method, text, status, body]]) => {
    const result = await answer(method, text, way)
    if (result.kind !== 'answered') throw new Error(JSON.stringify(result))
    expect([result.answer.status, result.answer.body.toString('latin1')]).toEqual([status, body])
    expect(result.answer.headers.has('x-a')).toBe(false)
  },
)

test.for([
  ['an interim answer and nothing more', CONTINUE],
  ['a switch of protocols that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
  ['an interim answer without end', `HTTP/1.1 100 Continue\r\nX: ${'a'.repeat(64 * 1024)}`],
  ['an answer that is cut off after one', `${CONTINUE}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe`],
] as const)('%s is no answer', async ([, text]) => {
  const result = await answer('GET', text, 'in one piece, and closes')
  expect(result.kind).toBe('failed')
})
