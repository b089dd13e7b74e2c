/** The place where the tour plays: a temporary folder with a server's repository, two clones, keys, two applications. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { shortOid } from '../../core/oid.ts'
import { branchRef } from '../../core/refs.ts'
import { thisCaller } from '../this-caller.ts'
import { type Application, buildSchema } from './application.ts'
import { Narrator } from './narrator.ts'
import { Programs, type Ran } from './programs.ts'

/** Who types a command, and the folder where they sit. CI works in the developer's clone; the operators share one. */
const PLACES = { admin: '.', dave: 'dev', ci: 'dev', alice: 'ops', bob: 'ops', auditor: 'audit' } as const

export type Actor = keyof typeof PLACES

/** Nothing of the user's own configuration, hooks, signing or identity takes part. */
const GIT_CONFIG = `[init]
	defaultBranch = main
[gc]
	auto = 0
[maintenance]
	auto = false
[receive]
	autogc = false
[core]
	abbrev = 7
[advice]
	detachedHead = false
	pushUpdateRejected = false
`

export class Stage {
  readonly folder: string
  readonly narrator = new Narrator()
  readonly staging: Application
  readonly production: Application
  /** Pushes of release, as the summary counts them. */
  readonly tally = { landed: 0, refused: 0 }
  readonly #programs: Programs

  constructor(folder: string, staging: Application, production: Application, signal: AbortSignal) {
    this.folder = folder
    this.staging = staging
    this.production = production
    for (const name of ['home', 'tmp', 'keys', 'audit']) mkdirSync(join(folder, name))
    writeFileSync(join(folder, 'home', 'gitconfig'), GIT_CONFIG)
    this.#programs = new Programs(join(folder, 'tmp'), signal)
  }

  /** Shows a command as `actor` types it, runs it, shows what it says. Leading words are the program. */
  async type(actor: Actor, words: readonly string[], options: { elide?: RegExp } = {}): Promise<Ran> {
    this.narrator.command(actor, words)
    const ran = await this.#run(actor, words)
    this.narrator.output(options.elide === undefined ? ran.output : elided(ran.output, options.elide))
    return ran
  }

  /** Like `type`; the command must succeed. */
  async must(actor: Actor, words: readonly string[], options: { elide?: RegExp } = {}): Promise<Ran> {
    const ran = await this.type(actor, words, options)
    this.expect(
      ran.code === 0,
      `\`${words.slice(0, 3).join(' ')}\` was to succeed and ended with ${ran.code}`,
    )
    return ran
  }

  /** Runs a command that is none of the audience's business, and returns what it says. It must succeed. */
  async quietly(actor: Actor, words: readonly string[]): Promise<string> {
    const ran = await this.#run(actor, words)
    this.expect(ran.code === 0, `\`${words.join(' ')}\` failed:\n${ran.output}`)
    return ran.output.trim()
  }

  /** The short id of a commit of the server's repository; null where there is no such ref. */
  async commitAt(name: string): Promise<string | null> {
    const ran = await this.#run('admin', ['git', '-C', 'app.git', 'rev-parse', '--verify', '--quiet', name])
    return ran.code === 0 ? shortOid(ran.output.trim()) : null
  }

  /** Deploys what the server has on a branch, as a pipeline that follows the branch would. */
  async deploy(application: Application, branch: string): Promise<void> {
    const commit = await this.quietly('admin', ['git', '-C', 'app.git', 'rev-parse', branchRef(branch)])
    const text = await this.quietly('admin', ['git', '-C', 'app.git', 'show', `${commit}:app.json`])
    application.deploy(commit, buildSchema.parse(JSON.parse(text)))
    this.narrator.aside(`${application.environment} follows ${branch} and serves ${shortOid(commit)} now`)
  }

  /** Writes a file of a clone, or of the folder. */
  write(path: string, content: string): void {
    writeFileSync(join(this.folder, path), content)
  }

  async waitUntil(time: number): Promise<void> {
    await this.#programs.waitUntil(time)
  }

  /** Ends the tour where something is not as the tour tells it. */
  expect(asTold: boolean, otherwise: string): void {
    if (asTold) return
    this.narrator.notAsTold(otherwise)
    throw new HeadgateError('refused', 'the demo did not go as told', {
      hint: 'headgate demo --keep leaves the folder to look into; please report it with this output',
    })
  }

  async #run(actor: Actor, words: readonly string[]): Promise<Ran> {
    const [program = '', ...args] = words
    const cwd = join(this.folder, PLACES[actor])
    const env = { ...cleanEnvironment(this.folder), ...actorEnvironment(actor) }
    if (program !== 'headgate') return this.#programs.run({ program, args, cwd, env })
    const bundle = process.argv[1] ?? ''
    return this.#programs.run({ program: process.execPath, args: [bundle, ...args], cwd, env })
  }
}

/** What every program of the tour gets instead of the user's environment; the same goes into `env.sh` with --keep. */
export function cleanEnvironment(folder: string): Record<string, string> {
  return {
    PATH: thisCaller().environment.PATH ?? '',
    HOME: join(folder, 'home'),
    TMPDIR: join(folder, 'tmp'),
    GIT_CONFIG_GLOBAL: join(folder, 'home', 'gitconfig'),
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_PAGER: 'cat',
    LC_ALL: 'C',
  }
}

/** The server of the tour believes USER; git's own idea of who commits plays no part in any decision. */
export function actorEnvironment(actor: Actor): Record<string, string> {
  const email = `${actor}@example.com`
  return {
    USER: actor,
    GIT_AUTHOR_NAME: actor,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: actor,
    GIT_COMMITTER_EMAIL: email,
  }
}

/** Without the lines that match; the first run of them leaves a mark. */
function elided(output: string, uninteresting: RegExp): string {
  const lines: string[] = []
  for (const line of output.split('\n')) {
    if (!uninteresting.test(line)) lines.push(line)
    else if (lines.at(-1) !== '  ...') lines.push('  ...')
  }
  return lines.join('\n')
}
