/** A real HTTP server in front of git's own http-backend, for the repositories in a test's folder. */
import { spawn, spawnSync } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { serve } from '../cli/run-program.ts'
import type { TestRepository } from '../make-repository.ts'

/** What stands between: told of each request, and of each answer before it goes out; true: it has taken care of it. */
type Proxy = {
  before?(request: IncomingMessage, response: ServerResponse): boolean
  after?(request: IncomingMessage, response: ServerResponse): boolean
}

export function serveGit(repository: TestRepository, proxy: Proxy = {}): Promise<string> {
  const backend = join(
    spawnSync('git', ['--exec-path'], { encoding: 'utf8' }).stdout.trim(),
    'git-http-backend',
  )
  return serve((request, response) => {
    if (proxy.before?.(request, response) === true) return
    const { pathname, search } = new URL(request.url ?? '/', 'http://x')
    const child = spawn(backend, [], {
      env: {
        ...repository.env,
        GIT_PROJECT_ROOT: repository.folder,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: pathname,
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method ?? 'GET',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        REMOTE_USER: 'alice',
      },
    })
    request.pipe(child.stdin)
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('close', () => {
      if (proxy.after?.(request, response) === true) return
      const answer = Buffer.concat(chunks)
      const end = answer.indexOf('\r\n\r\n')
      for (const line of answer.toString('latin1', 0, end).split('\r\n')) {
        const [name = '', value = ''] = line.split(': ')
        if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
        else response.setHeader(name, value)
      }
      response.end(answer.subarray(end + 4))
    })
  })
}
