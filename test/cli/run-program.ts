import { spawn } from 'node:child_process'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { PROGRAM, type Ran, TestRepository } from '../make-repository.ts'

type Options = {
  cwd?: string
  env?: Record<string, string>
  /** `interrupt` sends each signal once, SIGINT unless told. */
  onStderr?: (text: string, interrupt: (signal?: NodeJS.Signals) => void) => void
}

/** A guarded repository for one test. */
export function guarded(options: ConstructorParameters<typeof TestRepository>[0] = {}): TestRepository {
  const repository = new TestRepository(options)
  onTestFinished(() => repository.remove())
  return repository
}

/** The built program, without blocking: a server of this very process may have to answer it. */
export function headgate(
  repository: TestRepository,
  args: readonly string[],
  options: Options = {},
): Promise<Ran> {
  const env = { ...repository.env, ...options.env }
  return run(process.execPath, [PROGRAM, ...args], { cwd: repository.clone, ...options, env })
}

/** Any program, without blocking. */
export function run(program: string, args: readonly string[], options: Options): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const { cwd, env, onStderr } = options
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    const sent = new Set<NodeJS.Signals>()
    const interrupt = (signal: NodeJS.Signals = 'SIGINT') => {
      if (!sent.has(signal)) child.kill(signal)
      sent.add(signal)
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      onStderr?.(stderr, interrupt)
    })
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code: code ?? -1, signal, stdout, stderr, all: stdout + stderr }),
    )
  })
}

/** A real HTTP server for one test; its base URL. */
export async function serve(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

let standing: { readonly server: Server; readonly url: string } | null = null

/** The same at an address that stays for the whole file, so that repositories whose policy names it are copies of one. */
export async function serveAgain(handler: RequestListener): Promise<string> {
  if (standing === null) {
    const server = createServer()
    server.unref()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    standing = { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }
  const { server, url } = standing
  server.on('request', handler)
  onTestFinished(() => {
    server.off('request', handler)
    server.closeAllConnections()
  })
  return url
}

/** An application that serves a commit, and answers the test policy's gates with these statuses. */
export function application(commit: () => string, statuses: Record<string, number> = {}): RequestListener {
  return (request, response) => {
    const path = request.url ?? '/'
    response.statusCode = statuses[path] ?? 200
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(path === '/health' ? { commit: commit() } : { secret: 'hunter2' }))
  }
}
