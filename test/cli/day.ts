/**
 * A working day: a guarded repository, and two applications that deploy by themselves, staging when main moves and
 * production when release moves. What a commit's `app.json` says decides how it behaves.
 */
import { execFile, execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished } from 'vitest'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'
import { PROGRAM, type Ran, type Step, TestRepository } from '../make-repository.ts'
import { headgate } from './run-program.ts'

const execute = promisify(execFile)

type Watcher = NonNullable<Parameters<typeof headgate>[2]>['onStderr'] & {}

type DayOptions = {
  /** The line of the policy about rollbacks, after `rollback: `. */
  readonly rollback?: string
  /** What the keys of people may sign besides approvals. */
  readonly operatorsSmoke?: boolean
  readonly enforcement?: 'enforce' | 'evaluate'
  readonly notes?: 'required'
  /** One more gate of production, as the policy writes it. */
  readonly productionGate?: string
  /** What has happened before, in this order. */
  readonly begin?: Step | readonly Step[]
}

/** An application behind a branch of a bare repository. */
class Application {
  /** Milliseconds that a deployment takes. */
  deployMs = 0
  /** While true, nothing new is deployed. */
  stuck = false
  /** While true, nobody is answered. */
  down = false
  readonly url: string
  readonly #branch: string
  readonly #bare: string
  #serving: { commit: string; build: Record<string, string> } | null = null
  #seen: { commit: string; since: number } | null = null

  constructor(branch: string, bare: string, url: string) {
    this.#branch = branch
    this.#bare = bare
    this.url = url
  }

  async answer(path: string): Promise<{ status: number; body: object }> {
    if (this.down) throw new Error('down')
    await this.#deploy()
    if (path === '/health') return { status: 200, body: { commit: this.#serving?.commit ?? null } }
    const broken = this.#serving?.build[this.#branch] === 'broken'
    return { status: broken ? 500 : 200, body: { reply: 'hello' } }
  }

  async #deploy(): Promise<void> {
    if (this.stuck) return
    // Nobody packs refs here; a git process for every request would be the most of what it costs.
    const ref = join(this.#bare, 'refs', 'heads', this.#branch)
    const commit = existsSync(ref) ? readFileSync(ref, 'utf8').trim() : ''
    if (commit === '' || commit === this.#serving?.commit) return
    if (this.#seen?.commit !== commit) this.#seen = { commit, since: Date.now() }
    if (Date.now() - this.#seen.since < this.deployMs) return
    const show = ['--git-dir', this.#bare, 'show', `${commit}:app.json`]
    const { stdout } = await execute('git', show).catch(() => ({ stdout: '{}' }))
    this.#serving = { commit, build: JSON.parse(stdout) }
  }
}

/**
 * Where an environment is: an address that stays the same for all days of a test file, so that their policies, which
 * name it, are the same as well. Whose application answers there changes with the day.
 */
class Address {
  application: Application | null = null
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(): Promise<Address> {
    const server = createServer((request, response) => {
      const answer =
        address.application?.answer(request.url ?? '/') ?? Promise.reject(new Error('nobody is there'))
      answer.then(
        ({ status, body }) => {
          response.statusCode = status
          response.setHeader('content-type', 'application/json')
          response.end(JSON.stringify(body))
        },
        () => response.destroy(),
      )
    })
    const address = new Address(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    server.unref()
    return address
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Whoever is connected is cut off. */
  leave(): void {
    this.application = null
    this.#server.closeAllConnections()
  }
}

let addresses: Promise<readonly [Address, Address]> | undefined

export class Day {
  readonly repository: TestRepository
  readonly staging: Application
  readonly production: Application

  private constructor(repository: TestRepository, staging: Application, production: Application) {
    this.repository = repository
    this.staging = staging
    this.production = production
  }

  static async begin(options: DayOptions = {}): Promise<Day> {
    addresses ??= Promise.all([Address.open(), Address.open()])
    const [staging, production] = await addresses
    const repository = new TestRepository({
      policy: policyText(staging.url, production.url, options),
      install: false,
      prepare: [options.operatorsSmoke === false ? guard : guardAndSmoke, options.begin ?? []].flat(),
    })
    // Their clones have no policy that would name these hosts.
    for (const { url } of [staging, production])
      appendFileSync(repository.env.GIT_CONFIG_GLOBAL ?? '', `[headgate]\n\tallowHost = ${url}\n`)
    staging.application = new Application('main', repository.bare, staging.url)
    production.application = new Application('release', repository.bare, production.url)
    onTestFinished(() => {
      staging.leave()
      production.leave()
      repository.remove()
    })
    return new Day(repository, staging.application, production.application)
  }

  /** The built program as somebody, on their own machine: each has a clone, and a key in HEADGATE_KEY. */
  as(person: string, ...args: string[]): Promise<Ran> {
    return this.watch(person, args, () => undefined)
  }

  /** The same, told of what it says while it runs. */
  watch(person: string, args: readonly string[], onStderr: Watcher): Promise<Ran> {
    const bin = join(this.repository.folder, `${person}-bin`)
    return headgate(this.repository, args, {
      cwd: this.clone(person),
      env: {
        TEST_PUSHER: person,
        HEADGATE_KEY: this.repository.key(person),
        PATH: `${bin}:${this.repository.env.PATH}`,
      },
      onStderr,
    })
  }

  /** Somebody's clone. */
  clone(person: string): string {
    const folder = join(this.repository.folder, person)
    if (!existsSync(folder))
      this.repository.mustRun(this.repository.run('git', ['clone', '-q', this.repository.bare, folder]))
    return folder
  }

  /** Before each of the next pushes of a branch from somebody's machine, the shell script is run; it sees `$GIT`. */
  beforePush(person: string, branch: string, script: string, times = 1): void {
    const bin = join(this.repository.folder, `${person}-bin`)
    mkdirSync(bin, { recursive: true })
    const git = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim()
    const left = join(bin, 'left')
    writeFileSync(left, 'x'.repeat(times))
    writeFileSync(
      join(bin, 'git'),
      `#!/bin/sh
GIT=${git}
case "$*" in
  *push*:refs/heads/${branch})
    left=$(cat ${left})
    if [ -n "$left" ]; then
      printf %s "\${left#x}" > ${left}
      ( ${script} ) > ${bin}/said 2>&1
    fi
esac
exec "$GIT" "$@"
`,
      { mode: 0o755 },
    )
  }

  /** A shell command of headgate as somebody. */
  shell(person: string, args: string): string {
    const env = `TEST_PUSHER=${person} HEADGATE_KEY=${this.repository.key(person)} PATH=${this.repository.env.PATH}`
    return `cd ${this.clone(person)} && ${env} ${process.execPath} ${PROGRAM} ${args}`
  }

  /** A commit that dave pushes to main; `release: broken` makes production fail its smoke. */
  push(subject: string, app: Record<string, string> = {}): string {
    return pushed(this.repository, subject, app)
  }

  /** The newest commit whose subject begins so, of those that dave's clone has. */
  commit(subject: string): string {
    return this.repository.git('rev-parse', `:/^${subject}`)
  }

  /** Staging proves a commit. */
  async prove(commit: string): Promise<void> {
    this.repository.prove(commit)
  }

  /** A commit of main that staging has proved. */
  async proved(subject: string, app: Record<string, string> = {}): Promise<string> {
    return pushedProved(this.repository, subject, app)
  }

  release(): string | null {
    return this.repository.ref('refs/heads/release')
  }

  log(): string {
    const ran = this.repository.run('git', ['show', 'refs/heads/main:docs/RELEASE_LOG.md'], {
      cwd: this.repository.bare,
    })
    return ran.code === 0 ? ran.stdout : ''
  }
}

/** A commit on top of what main has become. */
function committed(repository: TestRepository, subject: string, app: Record<string, string>): string {
  repository.git('pull', '-q', '--rebase', 'origin', 'main')
  return repository.commit(subject, { 'app.json': JSON.stringify({ subject, ...app }) })
}

function pushed(repository: TestRepository, subject: string, app: Record<string, string>): string {
  const commit = committed(repository, subject, app)
  repository.mustRun(repository.push('main', { as: 'dave' }))
  return commit
}

function pushedProved(repository: TestRepository, subject: string, app: Record<string, string> = {}): string {
  const commit = committed(repository, subject, app)
  repository.pushProved(commit)
  return commit
}

/** A release with all that belongs to it: what `promote` by alice leaves, made by plain pushes and `log --append`. */
function release(repository: TestRepository, subject: string, works: boolean): void {
  const commit = pushedProved(repository, subject, works ? {} : { release: 'broken' })
  repository.mustRun(repository.push(`${commit}:refs/heads/release`))
  const smoke = repository.evidencePayload(commit, (predicate) => {
    const { configurationDigest, url } = parsePolicy(repository.policy).environments.production ?? {}
    predicate.configuration = [
      { name: '.headgate/policy.yaml#environments.production', digest: { sha256: configurationDigest } },
    ]
    Object.assign(predicate.headgate, { environment: 'production', baseUrl: url })
    if (works) return
    Object.assign(predicate, { result: 'FAILED', passedTests: ['health'], failedTests: ['chat'] })
    const reason = 'status 500, expected 200'
    Object.assign(predicate.headgate.gates[1], { outcome: 'failed', status: 500, reason })
  })
  repository.mustRun(repository.submit(repository.sign(smoke, 'alice', 'headgate-evidence'), 'alice'))
  repository.mustRun(repository.headgate('log', '--append'))
}

function releaseZero(repository: TestRepository): void {
  release(repository, 'zero', true)
}

function releaseBad(repository: TestRepository): void {
  release(repository, 'bad', false)
}

function pushProvedOne(repository: TestRepository): void {
  pushedProved(repository, 'one')
}

function pushProvedTwo(repository: TestRepository): void {
  pushedProved(repository, 'two')
}

/** Staging has proved `one`. */
export const proved: readonly Step[] = [pushProvedOne]

/** `zero` is released, tested and written down. */
export const released: readonly Step[] = [releaseZero]

/** `bad` as well, and it fails in production. */
export const releasedBad: readonly Step[] = [...released, releaseBad]

/** `zero` is released, and staging has proved `one`. */
export const releasedAndProved: readonly Step[] = [...released, pushProvedOne]

/** Staging has proved `two` as well, which comes after `one`. */
export const releasedAndProvedTwice: readonly Step[] = [...releasedAndProved, pushProvedTwo]

function guard(repository: TestRepository): void {
  repository.install()
}

function guardAndSmoke(repository: TestRepository): void {
  repository.allowEvidence(['alice', 'bob'])
  repository.install()
}

function policyText(staging: string, production: string, options: DayOptions): string {
  const { rollback, enforcement, productionGate, notes } = options
  const environment = (url: string) => `    url: ${url}
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
      - { name: chat, post: /api/chat, json: { message: hi }, expect: { status: 200 } }`
  return `version: 1
repository: git.example.com/app
staging: main
release: release
enforcement: ${enforcement ?? 'enforce'}
promotion: { operators: [alice, bob], notes: ${notes ?? 'optional'} }
rollback: ${rollback ?? '{ approvers: [alice, bob] }'}
environments:
  staging:
${environment(staging)}
  production:
${environment(production)}${productionGate === undefined ? '' : `\n      - ${productionGate}`}
`
}
