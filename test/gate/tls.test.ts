import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates, TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { environment, honest, run, serve } from './environment.ts'

const GATES = ['{ name: g, get: /g, expect: { status: 200 } }']
const folder = mkdtempSync(join(tmpdir(), 'headgate-tls-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => vi.unstubAllEnvs())

/** A self-signed certificate, made by openssl. */
function certificate(name: string, ...more: string[]): { key: string; cert: string } {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)]
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'.split(' ')
  execFileSync('openssl', [...request, '-keyout', key, '-out', cert, ...more], { stdio: 'pipe' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

/** One that ended yesterday: `openssl req -x509` makes none. */
function expiredCertificate(): { key: string; cert: string } {
  const { key } = certificate('expired', '-subj', '/CN=old')
  const [keyFile, request, cert] = ['key', 'csr', 'pem'].map((end) => join(folder, `expired.${end}`))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const names = ['-subj', '/CN=old', '-addext', 'subjectAltName=IP:127.0.0.1']
  openssl('req', '-new', '-key', keyFile ?? '', '-out', request ?? '', ...names)
  openssl(
    ...['x509', '-req', '-in', request ?? '', '-signkey', keyFile ?? '', '-out', cert ?? ''],
    ...['-copy_extensions', 'copy', '-days', '-1'],
  )
  return { key, cert: readFileSync(cert ?? '', 'utf8') }
}

const handler = honest((_, response) => response.end())
let unknown: { key: string; cert: string }
let trusted: { key: string; cert: string }
let foreign: { key: string; cert: string }
let expired: { key: string; cert: string }

beforeAll(() => {
  unknown = certificate('unknown', '-subj', '/CN=hunter2', '-addext', 'subjectAltName=IP:127.0.0.1')
  trusted = certificate('trusted', '-subj', '/CN=staging', '-addext', 'subjectAltName=IP:127.0.0.1')
  foreign = certificate('foreign', '-subj', '/CN=hunter2', '-addext', 'subjectAltName=DNS:hunter2.example')
  expired = expiredCertificate()
  const authorities = [trusted, foreign, expired].map(({ cert }) => cert)
  setDefaultCACertificates([...getCACertificates('default'), ...authorities])
})

test('a certificate from an authority that this machine trusts is fine', async () => {
  expect((await run(await serve(handler, { tls: trusted }), GATES)).result).toBe('PASSED')
})

/** How a run ends against an environment whose TLS is not as it must be: with a result, and not asked for more. */
async function refusal(url: string, gates: Parameters<typeof run>[1] = GATES): Promise<string> {
  const { result, problem, gates: outcomes } = await run(url, gates)
  expect([result, outcomes.map(({ outcome }) => outcome)]).toEqual(['FAILED', ['skipped']])
  expect(problem).not.toContain('hunter2')
  return problem ?? ''
}

const NOT_ASKED = 'staging could not be asked for its commit: GET /health: TLS failed'

test('a self-signed certificate is a failure', async () => {
  expect(await refusal(await serve(handler, { tls: unknown }))).toBe(
    `${NOT_ASKED}: the certificate is signed by itself; no gate was run`,
  )
})

test('also with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  expect(await refusal(await serve(handler, { tls: unknown }))).toContain(
    'the certificate is signed by itself',
  )
})

test('so is a certificate for another host, whose name is not repeated', async () => {
  expect(await refusal(await serve(handler, { tls: foreign }))).toBe(
    `${NOT_ASKED}: the certificate is for another host; no gate was run`,
  )
})

test('so is one that has expired', async () => {
  expect(await refusal(await serve(handler, { tls: expired }))).toBe(
    `${NOT_ASKED}: the certificate has expired; no gate was run`,
  )
})

test('so is plain HTTP on an https URL', async () => {
  const url = (await serve(handler)).replace('http:', 'https:')
  expect(await refusal(url)).toMatch(/TLS failed \(\w+\); no gate was run$/)
})

test('where nobody asks for the commit, it is the gate that fails', async () => {
  const url = await serve(handler, { tls: unknown })
  const { result, gates } = await run(url, environment(GATES, ''), { servedCommitMode: 'ignore' })
  expect(result).toBe('FAILED')
  expect(gates[0]).toMatchObject({
    outcome: 'failed',
    status: null,
    reason: 'TLS failed: the certificate is signed by itself',
  })
})

test('a handshake that never ends is a failure after the time of the gate', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const gates = environment(['{ name: g, get: /g, timeout: 300ms, expect: { status: 200 } }'], '')
  const result = await run(`https://127.0.0.1:${port}`, gates, { servedCommitMode: 'ignore' })
  expect(result.gates[0]).toMatchObject({ outcome: 'failed', reason: 'no TLS connection within 300 ms' })
})

test('a burst does not wait for connections that a server opens one after the other', async () => {
  const waiting: Socket[] = []
  let busy = false
  const next = () => {
    const socket = waiting.shift()
    busy = socket !== undefined
    if (socket === undefined) return
    const secure = new TLSSocket(socket, { isServer: true, ...trusted })
    secure.on('error', () => undefined).on('close', next)
    secure.once('data', () => secure.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'))
  }
  const server = createServer((socket) => {
    waiting.push(socket.on('error', () => undefined))
    if (!busy) next()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const burst = '{ name: g, get: /g, burst: { requests: 6, concurrency: 3 }, expect: { status: 200 } }'
  const result = await run(`https://127.0.0.1:${port}`, environment([burst], ''), {
    servedCommitMode: 'ignore',
  })
  expect(result.gates[0]).toMatchObject({ outcome: 'passed', statuses: { 200: 6 } })
})
