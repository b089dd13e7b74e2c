/**
 * The tests run the built program, and never an old one: before a run, vitest calls `setup`, which builds anew where
 * anything that goes into `dist/` is younger than what is there. No build is replaced under a run that goes on: then this
 * run fails, and says why.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
/** What goes into the build. A file that was removed or renamed makes its folder younger. */
const SOURCES = ['src', 'server', 'package.json', 'package-lock.json']
/** One file for each run that uses the build, named by its process. */
const RUNS = join(ROOT, 'node_modules', '.cache', 'headgate-test-runs')

export function setup(): () => void {
  mkdirSync(RUNS, { recursive: true })
  const own = join(RUNS, String(process.pid))
  // Told before it looks: of two that would build at the same time at least one sees the other.
  writeFileSync(own, '')
  const leave = () => rmSync(own, { force: true })
  try {
    const changed = youngerThanBuild()
    if (changed !== null) build(changed)
  } catch (error) {
    leave()
    throw error
  }
  return leave
}

function build(changed: string): void {
  for (const pid of readdirSync(RUNS)) if (!isAlive(Number(pid))) rmSync(join(RUNS, pid), { force: true })
  const other = readdirSync(RUNS).find((pid) => pid !== String(process.pid))
  if (other !== undefined)
    throw new Error(
      `dist/ is older than ${changed}, and process ${other} is running tests with it: ` +
        'wait for it to end, or stop it, then run this again (it builds by itself; so does npm run build)',
    )
  console.log(`building dist/, which is older than ${changed}`)
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' })
}

/** What has changed since the build, by its path; null where nothing has. */
function youngerThanBuild(): string | null {
  const dist = join(ROOT, 'dist')
  const files = statSync(dist, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(dist)
  const built = files.length === 0 ? 0 : Math.min(...files.map((name) => changedAt(join(dist, name))))
  return SOURCES.flatMap(withContent).find((path) => changedAt(join(ROOT, path)) > built) ?? null
}

function withContent(path: string): string[] {
  if (!statSync(join(ROOT, path)).isDirectory()) return [path]
  return [
    path,
    ...readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((name) => join(path, name)),
  ]
}

/** Zero for what is not there. */
function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
