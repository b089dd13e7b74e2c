import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import {
  type AddressInfo,
  createServer as createRawServer,
  type Server as RawServer,
  type Socket,
} from 'node:net'
import { onTestFinished } from 'vitest'
import type { Environment } from '../../src/core/policy/policy.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { type RunGatesOptions, runGates } from '../../src/gate/run-gates.ts'

export const COMMIT = '3f2c1ab000000000000000000000000000000001'
export const OTHER = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'

/** A real server for one test; its base URL. */
export function serve(
  handler: RequestListener,
  { host = '127.0.0.1', tls }: { host?: string; tls?: { key: string; cert: string } } = {},
): Promise<string> {
  const server = tls === undefined ? createServer(handler) : createTlsServer(tls, handler)
  return listen(server, host, tls === undefined ? 'http' : 'https')
}

/** A server that says on the socket what it likes, once a request has begun to arrive. */
export function serveRaw(talk: (socket: Socket, request: string) => void): Promise<string> {
  const server = createRawServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (data) => talk(socket, data.toString('latin1')))
  })
  return listen(server, '127.0.0.1', 'http')
}

async function listen(server: Server | RawServer, host: string, scheme: string): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An environment as a policy file writes it; `gates` are YAML flow maps. */
export function environment(
  gates: readonly string[],
  servedCommit = '{ get: /health, json: commit }',
  headers = '',
): Environment {
  return parsePolicy(
    [
      'version: 1',
      'repository: git.example.com/app',
      'staging: main',
      'release: release',
      'evidence: { servedCommit: if-reported }',
      'promotion: { operators: [alice] }',
      'environments:',
      '  staging:',
      '    url: https://staging.example.com',
      ...(servedCommit === '' ? [] : [`    servedCommit: ${servedCommit}`]),
      ...(headers === '' ? [] : [`    headers: ${headers}`]),
      '    gates:',
      ...gates.map((gate) => `      - ${gate}`),
    ].join('\n'),
  ).environments.staging
}

export function run(
  baseUrl: string,
  gates: readonly string[] | Environment,
  more: Partial<RunGatesOptions> = {},
) {
  return runGates({
    environment: 'gates' in gates ? gates : environment(gates),
    baseUrl,
    commit: COMMIT,
    servedCommitMode: 'required',
    variables: process.env,
    allowedVariables: ['DOOR', 'KEY', 'LOGIN', 'LONG', 'OWN', 'TEST_CORS_TOKEN', 'TOKEN'],
    folder: process.cwd(),
    now: () => new Date(),
    ...more,
  })
}

/** Answers /health with the commit, and everything else by `handler`. */
export function honest(handler: RequestListener, commit: () => unknown = () => COMMIT): RequestListener {
  return (request, response) => {
    if (request.url !== '/health') return handler(request, response)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ commit: commit(), app_env: 'staging', debug_errors: false }))
  }
}
