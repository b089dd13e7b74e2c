/** The repositories that the benchmark pushes to: the same one without hooks, with hooks that do nothing, and guarded. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROGRAM, TestRepository } from '../test/make-repository.ts'

export const VARIANTS = ['plain', 'shell hooks', 'Node hook', 'embedded', 'service'] as const
export type Variant = (typeof VARIANTS)[number]

export class Target {
  readonly repository: TestRepository
  readonly isGuarded: boolean
  #service: ChildProcess | undefined

  private constructor(repository: TestRepository, isGuarded: boolean) {
    this.repository = repository
    this.isGuarded = isGuarded
  }

  static async make(variant: Variant, refFormat: 'files' | 'reftable' = 'files'): Promise<Target> {
    const isGuarded = variant === 'embedded' || variant === 'service'
    const repository = new TestRepository({ install: isGuarded, refFormat })
    const target = new Target(repository, isGuarded)
    if (variant === 'shell hooks') {
      for (const name of ['pre-receive', 'reference-transaction', 'post-receive'])
        writeHook(repository, name, 'while read -r line; do :; done')
    }
    if (variant === 'Node hook') writeHook(repository, 'pre-receive', `exec '${process.execPath}' -e 0`)
    if (variant === 'service') await target.serve()
    return target
  }

  async serve(): Promise<void> {
    this.#service = await startService([this.repository.bare])
  }

  /** A commit that main has and that is proved, ready for its promotion. */
  ready(subject: string): string {
    const commit = this.repository.commit(subject)
    this.repository.mustRun(this.repository.push('main'))
    if (this.isGuarded) this.repository.prove(commit)
    return commit
  }

  promote(commit: string): void {
    this.repository.mustRun(this.repository.push(`${commit}:refs/heads/release`))
  }

  async remove(): Promise<void> {
    if (this.#service !== undefined) await stopService(this.#service)
    this.repository.remove()
  }
}

export function spawnService(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [PROGRAM, 'serve', ...args, '--log-level', 'error'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

export async function startService(repositories: readonly string[]): Promise<ChildProcess> {
  const service = spawnService(repositories)
  const last = join(repositories.at(-1) ?? '', 'headgate', 'service')
  for (let i = 0; i < 600 && !existsSync(last); i++) await new Promise((done) => setTimeout(done, 50))
  if (!existsSync(last)) throw new Error('the service did not start')
  return service
}

export async function stopService(service: ChildProcess): Promise<void> {
  const ended = once(service, 'exit')
  service.kill('SIGTERM')
  await ended
}

function writeHook({ bare }: TestRepository, name: string, text: string): void {
  mkdirSync(join(bare, 'hooks'), { recursive: true })
  writeFileSync(join(bare, 'hooks', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
}
