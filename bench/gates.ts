/**
 * The starting policy's staging gates against a local server that takes 30 ms for every answer, and the same checks
 * written as a script that calls curl one after the other. The server measures how many requests of the burst are
 * there at the same time.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startingPolicy } from '../src/app/starting-policy.ts'
import { printTable, Rounds } from './rounds.ts'

const LATENCY_MS = 30
const PROGRAM = resolve(import.meta.dirname, '..', 'dist', 'headgate.js')

/** Everything that the gates check, in sequence, as people write it first. */
const SCRIPT = `set -eu
get() { curl -sS -o body -w '%{http_code}' "$@"; }
curl -sSf "$BASE/health" | grep -q "\\"commit\\":\\"$COMMIT\\""
test "$(get "$BASE/health")" = 200 && grep -q '"app_env":"staging"' body && grep -q '"debug_errors":false' body
test "$(get "$BASE/db/health")" = 200 && grep -q '"host":"db.staging.internal"' body
test "$(get "$BASE/auth/whoami")" = 200
test "$(get -H 'content-type: application/json' -d '{"message":"hi"}' "$BASE/api/chat")" = 200
test "$(get -H 'content-type: text/plain' -d hi "$BASE/api/chat")" = 415
for method in GET OPTIONS; do
  curl -sS -D headers -o body -X $method -H 'origin: https://not-allowed.example' "$BASE/health"
  ! grep -qi '^access-control-allow-origin: *\\(\\*\\|https://not-allowed\\)' headers
done
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  status=$(get -H 'content-type: application/json' -d '{"message":"hi"}' "$BASE/api/chat")
  test "$status" = 200 || test "$status" = 429
done
curl -sSf "$BASE/health" | grep -q "\\"commit\\":\\"$COMMIT\\""
`

class SlowApplication {
  now = 0
  most = 0
  readonly #server = createServer((request, response) => {
    this.most = Math.max(this.most, ++this.now)
    setTimeout(() => {
      this.now -= 1
      const chat = request.headers['content-type'] === 'application/json' ? 200 : 415
      const [status, body] =
        request.url === '/health'
          ? [200, { commit: this.commit, app_env: 'staging', debug_errors: false }]
          : [request.url === '/api/chat' ? chat : 200, { host: 'db.staging.internal' }]
      response.writeHead(status as number, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }, LATENCY_MS)
  })
  readonly commit: string

  constructor(commit: string) {
    this.commit = commit
  }

  async start(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  stop(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

export async function measureGates(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-'))
  const git = (...args: string[]) => execFileSync('git', ['-C', folder, ...args], { encoding: 'utf8' }).trim()
  try {
    prepare(folder, git)
    const commit = git('rev-parse', 'HEAD')
    const application = new SlowApplication(commit)
    const base = await application.start()
    const env = { ...process.env, BASE: base, COMMIT: commit, MODE: 'staging' }
    const times = new Rounds()
    for (let round = 0; round < rounds; round++) {
      times.add('headgate gate', await run(process.execPath, [PROGRAM, 'gate'], folder, env))
      times.add('curl, one by one', await run('sh', ['-c', SCRIPT], folder, env))
    }
    application.stop()
    console.log(
      `seven gates, a burst of 20 among them, ${LATENCY_MS} ms for each answer: median of ${rounds} rounds`,
    )
    printTable([
      ['', 'ratio', 'ms'],
      ...['curl, one by one', 'headgate gate'].map((what) => [
        what,
        times.ratio(what, 'curl, one by one'),
        times.median(what),
      ]),
    ])
    console.log(`requests of the burst at the same time, as the server saw them: ${application.most} of 10\n`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function prepare(folder: string, git: (...args: string[]) => string): void {
  const { policy, allowedSigners } = startingPolicy({ repository: 'git.example.com/app' })
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')])
  const key = readFileSync(join(folder, 'key.pub'), 'utf8').split(' ')[1] ?? ''
  mkdirSync(join(folder, '.headgate'))
  writeFileSync(join(folder, '.headgate', 'policy.yaml'), policy)
  writeFileSync(join(folder, '.headgate', 'allowed_signers'), allowedSigners.replaceAll(/REPLACE-\S+/g, key))
  git('init', '-q')
  git('-c', 'user.name=b', '-c', 'user.email=b@example.com', 'commit', '-q', '--allow-empty', '-m', 'first')
}

/** How long the program took, in ms. */
function run(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((done, fail) => {
    const startedMs = performance.now()
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.on('error', fail)
    child.on('close', (code) =>
      code === 0
        ? done(performance.now() - startedMs)
        : fail(new Error(`${program} ended with ${code}\n${stderr}`)),
    )
  })
}
