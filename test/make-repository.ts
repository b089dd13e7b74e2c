/**
 * A guarded bare repository with everything around it, in a temporary folder: a clone, keys for CI and two operators,
 * a policy. Real git, real ssh-keygen, the built program; pushers are told apart by the variable TEST_PUSHER.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { canonicalJson, sha256 } from '../src/core/canonical-json.ts'
import { parsePolicy } from '../src/core/policy/policy-yaml.ts'
import { statementPayload } from '../src/core/statement.ts'
import { findRef, looseRef, writeBlob } from './git-files.ts'
import { fillFolder } from './templates.ts'

export const PROGRAM = resolve(import.meta.dirname, '..', 'dist', 'headgate.js')
export const REPOSITORY_NAME = 'git.example.com/app'
const PAYLOAD_TYPE = 'application/vnd.in-toto+json'

/** A git that knows reftable (2.46 or newer), where there is one. */
export const CURRENT_GIT = process.env.HEADGATE_CURRENT_GIT

export type Ran = {
  readonly code: number
  /** What ended the program, where it did not end by itself; the code is -1 then. */
  readonly signal?: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly all: string
}

/** What the doctor says, each finding in one line: how it is wrapped depends on how long paths are. */
export function unwrapped(text: string): string {
  return text.replace(/\n {2}(?!fix: )/g, ' ')
}

export const POLICY = `version: 1
repository: ${REPOSITORY_NAME}
staging: main
release: release
evidence: { maxAge: 24h, servedCommit: required }
promotion: { operators: [alice, bob], signedPush: if-offered }
rollback: { approvers: [alice, bob], approvals: 1, approverMayPush: true, approvalMaxAge: 1h, target: landed }
environments:
  staging:
    url: http://127.0.0.1:9
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
      - { name: chat, post: /api/chat, json: { message: hi }, expect: { status: 200 } }
  production:
    url: http://127.0.0.1:9
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
`

/** Nobody keeps house here: it would be one more process after every commit, fetch and push. */
const GIT_CONFIG = `[user]
	name = Dev
	email = dev@example.com
[init]
	defaultBranch = main
[advice]
	detachedHead = false
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	autogc = false
[pack]
	threads = 1
`

type Options = {
  readonly objectFormat?: 'sha1' | 'sha256'
  /** With a reftable everything here is done by the current git. */
  readonly refFormat?: 'files' | 'reftable'
  readonly policy?: string
  readonly identity?: string
  /** False leaves the repository unguarded. */
  readonly install?: boolean
  /** What else belongs to its beginning, in this order. */
  readonly prepare?: Step | readonly Step[]
}

/** A named function, so that repositories of one kind can be copied: the name tells what it does from all others. */
export type Step = (repository: TestRepository) => void

export class TestRepository {
  readonly folder: string
  readonly bare: string
  readonly clone: string
  readonly policyFolder: string
  readonly policy: string
  readonly env: Record<string, string>
  readonly objectFormat: 'sha1' | 'sha256'

  constructor(options: Options = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'headgate-test-'))
    this.bare = join(this.folder, 'app.git')
    this.clone = join(this.folder, 'clone')
    this.policyFolder = join(this.folder, 'policy')
    this.policy = options.policy ?? POLICY
    const home = join(this.folder, 'home')
    const { objectFormat = 'sha1', refFormat = 'files', identity, install = true, prepare = [] } = options
    this.objectFormat = objectFormat
    const git = refFormat === 'files' || CURRENT_GIT === undefined ? '' : `${dirname(CURRENT_GIT)}:`
    this.env = {
      PATH: `${git}${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
      HOME: home,
      GIT_CONFIG_GLOBAL: join(home, 'gitconfig'),
      GIT_CONFIG_NOSYSTEM: '1',
      TEST_PUSHER: 'alice',
      LC_ALL: 'C',
      TZ: 'UTC',
    }
    const steps = [
      { kind: [objectFormat, refFormat], take: () => this.#make(objectFormat, refFormat) },
      { kind: [this.policy, install && (identity ?? true)], take: () => this.#guard(install, identity) },
      ...[prepare].flat().map((step) => ({ kind: step.name, take: () => step(this) })),
    ]
    this.#begin(steps)
  }

  /** Each step goes on from a copy of what the steps before it leave. */
  #begin(steps: readonly { readonly kind: unknown; take(): void }[]): void {
    const last = steps.at(-1)
    if (last === undefined) return
    fillFolder(
      this.folder,
      steps.map(({ kind }) => kind),
      () => {
        this.#begin(steps.slice(0, -1))
        last.take()
      },
    )
  }

  #make(objectFormat: string, refFormat: string): void {
    const home = join(this.folder, 'home')
    mkdirSync(home)
    mkdirSync(this.policyFolder)
    writeFileSync(join(home, 'gitconfig'), GIT_CONFIG)
    const formats = [
      `--object-format=${objectFormat}`,
      ...(refFormat === 'files' ? [] : [`--ref-format=${refFormat}`]),
    ]
    this.mustRun(this.run('git', ['init', '-q', '--bare', ...formats, this.bare]))
    this.mustRun(this.run('git', ['init', '-q', ...formats, this.clone]))
    this.git('remote', 'add', 'origin', this.bare)
    const signers = [
      this.makeKey('ci', 'ci@example.com', 'headgate-evidence'),
      this.makeKey('alice', 'alice', 'headgate-approval,git'),
      this.makeKey('bob', 'bob', 'headgate-approval,git'),
    ]
    this.makeKey('mallory', 'mallory', 'headgate-evidence,headgate-approval')
    writeFileSync(join(this.policyFolder, 'allowed_signers'), `${signers.join('\n')}\n`)
    this.commit('first')
    this.git('push', '-q', 'origin', 'main')
  }

  #guard(install: boolean, identity: string | undefined): void {
    writeFileSync(join(this.policyFolder, 'policy.yaml'), this.policy)
    if (install) this.install(identity)
  }

  install(identity = 'env:TEST_PUSHER'): void {
    this.mustRun(
      this.headgate('server', 'install', this.bare, '--identity', identity, '--policy', this.policyFolder),
    )
  }

  /** Puts a policy in force in which staging and production are at this URL as well. */
  allowUrl(url: string): void {
    const file = join(this.policyFolder, 'policy.yaml')
    const text = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      text.replace(
        /^( {4})url: .*$(?:\n {4}urls: .*$)?/gm,
        (line) => `${line.split('\n')[0]}\n    urls: [${url}]`,
      ),
    )
    this.mustRun(this.headgate('policy', 'apply', this.bare, this.policyFolder))
  }

  /** Lets the keys of these people sign evidence, too. */
  allowEvidence(names: readonly string[]): void {
    const file = join(this.policyFolder, 'allowed_signers')
    const lines = readFileSync(file, 'utf8').split('\n')
    const changed = lines.map((line) =>
      names.includes(line.split(' ')[0] ?? '')
        ? line.replace('namespaces="', 'namespaces="headgate-evidence,')
        : line,
    )
    writeFileSync(file, changed.join('\n'))
  }

  /** A key pair in the folder; returns its allowed_signers line. */
  makeKey(name: string, principal: string, namespaces: string): string {
    const file = this.key(name)
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', principal, '-f', file])
    return `${principal} namespaces="${namespaces}" ${readFileSync(`${file}.pub`, 'utf8').split(' ').slice(0, 2).join(' ')}`
  }

  key(name: string): string {
    return join(this.folder, `${name}_key`)
  }

  run(
    program: string,
    args: readonly string[],
    options: { cwd?: string; env?: Record<string, string>; input?: string | Buffer } = {},
  ): Ran {
    const ran = spawnSync(program, args, {
      cwd: options.cwd ?? this.folder,
      env: { ...this.env, ...options.env },
      input: options.input ?? '',
      maxBuffer: 256 * 1024 * 1024,
    })
    if (ran.error !== undefined) throw ran.error
    const [stdout, stderr] = [ran.stdout.toString('utf8'), ran.stderr.toString('utf8')]
    return { code: ran.status ?? -1, signal: ran.signal, stdout, stderr, all: stdout + stderr }
  }

  mustRun(ran: Ran): Ran {
    if (ran.code !== 0) throw new Error(`${ran.signal ?? `exit ${ran.code}`}\n${ran.all}`)
    return ran
  }

  /** git in the clone; throws if it fails. Returns standard output without its last line break. */
  git(...args: string[]): string {
    return this.mustRun(this.run('git', args, { cwd: this.clone })).stdout.replace(/\n$/, '')
  }

  /** git in the bare repository; throws if it fails. */
  server(...args: string[]): string {
    return this.mustRun(this.run('git', args, { cwd: this.bare })).stdout.replace(/\n$/, '')
  }

  /** The built program, in the clone. */
  headgate(...args: string[]): Ran {
    return this.run(process.execPath, [PROGRAM, ...args], { cwd: this.clone })
  }

  /** `git push origin ...` by somebody. */
  push(
    refspecs: string | readonly string[],
    options: { as?: string; args?: readonly string[]; env?: Record<string, string> } = {},
  ): Ran {
    const env = { TEST_PUSHER: options.as ?? 'alice', ...options.env }
    return this.run('git', ['push', ...(options.args ?? []), 'origin', ...[refspecs].flat()], {
      cwd: this.clone,
      env,
    })
  }

  /** A new commit on the clone's current branch; returns its id. */
  commit(subject: string, files: Record<string, string> = { 'file.txt': `${subject}\n` }): string {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.clone, path)), { recursive: true })
      writeFileSync(join(this.clone, path), content)
    }
    this.git('add', '-A')
    this.git('commit', '-q', '--allow-empty', '-m', subject)
    return looseRef(join(this.clone, '.git'), 'HEAD') ?? this.git('rev-parse', 'HEAD')
  }

  /** The same for each of these subjects, one on top of the other, in as many processes as for one. */
  commits(subjects: readonly string[]): string[] {
    const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`
    const who = `committer Dev <dev@example.com> ${Math.floor(Date.now() / 1000)} +0000\n`
    const stream = subjects.map((subject, index) => {
      const from = index === 0 ? 'from refs/heads/main^0\n' : ''
      return `commit refs/heads/main\n${who}${data(`${subject}\n`)}${from}M 100644 inline file.txt\n${data(`${subject}\n`)}`
    })
    const run = this.run('git', ['fast-import', '--quiet'], { cwd: this.clone, input: stream.join('') })
    this.mustRun(run)
    this.git('reset', '-q', '--hard')
    return this.git('rev-list', '--reverse', `-${subjects.length}`, 'main').split('\n')
  }

  /** A ref of the bare repository; null where it does not exist. */
  ref(name: string): string | null {
    const found = findRef(this.bare, name)
    if (found !== undefined) return found
    const ran = this.run('git', ['rev-parse', '--verify', '--quiet', name], { cwd: this.bare })
    return ran.code === 0 ? ran.stdout.trim() : null
  }

  ledgerSubjects(): string[] {
    return this.server('log', '--reverse', '--format=%s', 'refs/headgate/ledger').split('\n')
  }

  /** The payload of passing staging evidence; `change` edits the predicate before it is written. */
  evidencePayload(commit: string, change: (predicate: any) => void = () => {}): string {
    const policy = parsePolicy(this.policy)
    const now = new Date().toISOString()
    const names = policy.environments.staging.gates.map(({ name }) => name)
    const predicate = {
      result: 'PASSED' as const,
      configuration: [
        {
          name: '.headgate/policy.yaml#environments.staging',
          digest: { sha256: policy.environments.staging.configurationDigest },
        },
      ],
      passedTests: names,
      warnedTests: [],
      failedTests: [],
      headgate: {
        environment: 'staging',
        baseUrl: policy.environments.staging.url,
        startedAt: now,
        finishedAt: now,
        servedCommit: { before: commit, after: commit },
        gates: names.map((name) => ({
          name,
          outcome: 'passed' as const,
          status: 200,
          durationMs: 1,
          reason: null,
        })),
        runner: 'test',
      },
    }
    change(predicate)
    return statementPayload('evidence', REPOSITORY_NAME, commit, predicate)
  }

  approvalPayload(from: string, to: string, change: (predicate: any) => void = () => {}): string {
    const predicate = {
      ref: 'refs/heads/release',
      from,
      to,
      trigger: 'alarm',
      reason: 'it is broken',
      symptoms: 'errors',
      issuedAt: new Date().toISOString(),
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      nonce: sha256(String(Math.random())),
    }
    change(predicate)
    return statementPayload('approval', REPOSITORY_NAME, to, predicate)
  }

  overridePayload(from: string, to: string, waives: readonly string[], reason: string): string {
    const { predicate } = JSON.parse(this.approvalPayload(from, to))
    return statementPayload('override', REPOSITORY_NAME, to, { ...predicate, waives: [...waives], reason })
  }

  /** A DSSE envelope made by ssh-keygen alone. */
  sign(payload: string, key: string, namespace: string): string {
    return this.signAll([payload], key, namespace)[0] ?? ''
  }

  /** One for each of these payloads, in one process. */
  signAll(payloads: readonly string[], key: string, namespace: string): string[] {
    const folder = mkdtempSync(join(this.folder, 'signing-'))
    const files = payloads.map((payload, index) => {
      const body = Buffer.from(payload, 'utf8')
      const start = Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${body.length} `)
      writeFileSync(join(folder, `${index}`), Buffer.concat([start, body]))
      return join(folder, `${index}`)
    })
    const options = ['-q', '-Y', 'sign', '-n', namespace, '-f', this.key(key)]
    this.mustRun(this.run('ssh-keygen', [...options, ...files]))
    const envelopes = payloads.map((payload, index) => {
      const armor = readFileSync(`${files[index]}.sig`, 'utf8').split('\n')
      const sig = armor.filter((line) => !line.startsWith('-----')).join('')
      return canonicalJson({
        payloadType: PAYLOAD_TYPE,
        payload: Buffer.from(payload, 'utf8').toString('base64'),
        signatures: [{ keyid: '', sig }],
      })
    })
    rmSync(folder, { recursive: true })
    return envelopes
  }

  /** Writes a blob into the clone and returns the refspec that submits it. */
  inboxRefspec(envelope: string | Buffer, name?: string): string {
    const blob = writeBlob(join(this.clone, '.git'), this.objectFormat, envelope)
    const digest = createHash('sha256').update(envelope).digest('hex')
    return `${blob}:refs/headgate/inbox/${name ?? digest}`
  }

  submit(envelope: string | Buffer, as = 'ci'): Ran {
    return this.push(this.inboxRefspec(envelope), { as })
  }

  /** Records passing staging evidence for each of these commits. */
  prove(...commits: string[]): void {
    this.mustRun(this.push(this.#evidenceRefspecs(commits), { as: 'ci' }))
  }

  /** Pushes main and passing staging evidence for commits of it, at once. */
  pushProved(...commits: string[]): void {
    this.mustRun(this.push(['main', ...this.#evidenceRefspecs(commits)], { as: 'ci' }))
  }

  #evidenceRefspecs(commits: readonly string[]): string[] {
    const payloads = commits.map((commit) => this.evidencePayload(commit))
    return this.signAll(payloads, 'ci', 'headgate-evidence').map((envelope) => this.inboxRefspec(envelope))
  }

  /** Pushes main, proves its tip, promotes it; returns the commit. */
  release(subject: string): string {
    const commit = this.commit(subject)
    this.pushProved(commit)
    this.mustRun(this.push(`${commit}:refs/heads/release`))
    return commit
  }

  remove(): void {
    // A hook that decided by itself outlives the push by a moment, and writes what it compiled.
    // Where it removes a file at the same time, rmSync stops halfway and says nothing.
    for (let attempt = 0; attempt < 10 && existsSync(this.folder); attempt++)
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 })
  }
}
