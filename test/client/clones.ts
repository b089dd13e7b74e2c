/** Real clones with headgate's client hooks, for one test each. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { onTestFinished } from 'vitest'
import { ClientRepository } from '../../src/app/clone/client-repository.ts'
import { type Ran, TestRepository } from '../make-repository.ts'

export const ROOT = resolve(import.meta.dirname, '..', '..')
export const HUSKY = join(ROOT, 'node_modules', 'husky', 'bin.js')
const LEFTHOOK_FOLDER = `lefthook-${process.platform}-${process.arch}`
export const LEFTHOOK = join(ROOT, 'node_modules', LEFTHOOK_FOLDER, 'bin', 'lefthook')
export const HAS_PRE_COMMIT = spawnSync('pre-commit', ['--version']).status === 0

/** A guarded repository; its clone has no hooks yet. */
export function guardedClone(options: ConstructorParameters<typeof TestRepository>[0] = {}): TestRepository {
  const repository = new TestRepository(options)
  onTestFinished(() => repository.remove())
  repository.env.PATH += `:${dirname(LEFTHOOK)}`
  return repository
}

/** The same with the hooks, started by git itself. */
export function hookedClone(options: ConstructorParameters<typeof TestRepository>[0] = {}): TestRepository {
  const { prepare = [] } = options
  return guardedClone({ ...options, prepare: [prepare, initClone].flat() })
}

function initClone(repository: TestRepository): void {
  repository.mustRun(repository.headgate('init'))
}

/** A clone for use cases that a test calls itself, as the program would from a folder of it. */
export function clientOf({ clone, env }: TestRepository): ClientRepository {
  return new ClientRepository({ folder: clone, environment: env })
}

/** Writes a file into the clone, executable. */
export function write(repository: TestRepository, path: string, text: string): void {
  const file = resolve(repository.clone, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text, { mode: 0o755 })
}

export function gitIn(repository: TestRepository, cwd: string, ...args: string[]): Ran {
  return repository.run('git', args, { cwd })
}

/** Whether a push was refused by the clone's hook: nothing was sent, and the server said nothing. */
export function refusedBefore({ code, all }: Ran): boolean {
  return code !== 0 && all.includes('Nothing was sent.') && !all.includes('remote:')
}

/** Everything of a clone that headgate could leave behind, to be compared. */
export function traces({ clone }: TestRepository): Record<string, string> {
  const found: Record<string, string> = {
    config: execFileSync('git', ['config', '--local', '--list'], { cwd: clone, encoding: 'utf8' }),
  }
  for (const folder of ['.git/hooks', '.git/headgate', '.husky', '.headgate']) {
    if (!existsSync(join(clone, folder))) continue
    for (const entry of readdirSync(join(clone, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      if (entry.isFile() && !entry.name.endsWith('.sample')) found[path] = readFileSync(path, 'utf8')
    }
  }
  for (const file of ['lefthook.yml', '.pre-commit-config.yaml'])
    if (existsSync(join(clone, file))) found[file] = readFileSync(join(clone, file), 'utf8')
  return found
}
