import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { honest, run, serve } from './environment.ts'

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

const handler = honest((_, response) => response.end())
let unknown: { key: string; cert: string }
let trusted: { key: string; cert: string }
let foreign: { key: string; cert: string }

beforeAll(() => {
  unknown = certificate('unknown', '-subj', '/CN=hunter2', '-addext', 'subjectAltName=IP:127.0.0.1')
  trusted = certificate('trusted', '-subj', '/CN=staging', '-addext', 'subjectAltName=IP:127.0.0.1')
  foreign = certificate('foreign', '-subj', '/CN=hunter2', '-addext', 'subjectAltName=DNS:hunter2.example')
  setDefaultCACertificates([...getCACertificates('default'), trusted.cert, foreign.cert])
})

test('a certificate from an authority that this machine trusts is fine', async () => {
  expect((await run(await serve(handler, { tls: trusted }), GATES)).result).toBe('PASSED')
})

test('a self-signed certificate is not', async () => {
  const url = await serve(handler, { tls: unknown })
  await expect(run(url, GATES)).rejects.toThrow(
    `staging at ${url} cannot be reached: TLS failed: the certificate is signed by itself`,
  )
})

test('not even with NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  await expect(run(await serve(handler, { tls: unknown }), GATES)).rejects.toThrow(
    'the certificate is signed by itself',
  )
})

test('nor is a certificate for another host, whose name is not repeated', async () => {
  const url = await serve(handler, { tls: foreign })
  await expect(run(url, GATES)).rejects.toThrow(
    `staging at ${url} cannot be reached: TLS failed: the certificate is for another host`,
  )
})

test('nor is plain HTTP on an https URL', async () => {
  const url = (await serve(handler)).replace('http:', 'https:')
  await expect(run(url, GATES)).rejects.toThrow(/cannot be reached: TLS failed \(\w+\)$/)
})

test('a server that never finishes the TLS handshake has not been reached', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const gates = ['{ name: g, get: /g, timeout: 300ms, expect: { status: 200 } }']
  const { environment } = await import('./environment.ts')
  await expect(
    run(`https://127.0.0.1:${port}`, environment(gates, ''), { servedCommitMode: 'ignore' }),
  ).rejects.toThrow(`staging at https://127.0.0.1:${port} cannot be reached: no connection within 300 ms`)
})
