/**
 * The tests run the built program, and never an old one: before a run, vitest calls `setup`, which builds anew where
 * anything that goes into `dist/` is younger than what is there. No build is replaced under a run that goes on: then this
 * run fails, and says why.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
/** What goes into the build. A file that was removed or renamed makes its folder younger. */
const SOURCES = [
  'src',
  'server',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  // npm writes it when it installs: packages are in the bundle.
  'node_modules/.package-lock.json',
]
/** A build that was cut short lacks the last of them. */
const OUTPUTS = ['headgate.js', 'read-policy.js', 'hook.cjs'].map((name) => join(ROOT, 'dist', name))
/** One file for each run that uses the build, named by its process and when that began. */
const RUNS = join(ROOT, 'node_modules', '.cache', 'headgate-test-runs')

const OWN = `${process.pid}-${beganAt(process.pid)}`

export function setup(): () => void {
  mkdirSync(RUNS, { recursive: true })
  const own = join(RUNS, OWN)
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
  for (const run of readdirSync(RUNS)) if (!isAlive(run)) rmSync(join(RUNS, run), { force: true })
  const other = readdirSync(RUNS).find((run) => run !== OWN)
  if (other !== undefined) {
    // It may be building just now.
    for (let waited = 0; waited < 100; waited++) {
      if (youngerThanBuild() === null) return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
    throw new Error(
      `dist/ is older than ${changed}, and process ${other.split('-')[0]} is running tests with it: ` +
        'wait for it to end, or stop it, then run this again (it builds by itself; so does npm run build)',
    )
  }
  console.log(`building dist/, which is older than ${changed}`)
  const began = new Date()
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' })
  // What was saved while it built may not be in it.
  for (const output of OUTPUTS) utimesSync(output, began, began)
}

/** What has changed since the build, by its path; null where nothing has. */
function youngerThanBuild(): string | null {
  const built = Math.min(...OUTPUTS.map(changedAt))
  return SOURCES.flatMap(withContent).find((path) => changedAt(join(ROOT, path)) > built) ?? null
}

function withContent(path: string): string[] {
  if (!statSync(join(ROOT, path), { throwIfNoEntry: false })?.isDirectory()) return [path]
  return [
    path,
    ...readdirSync(join(ROOT, path), { recursive: true, encoding: 'utf8' }).map((name) => join(path, name)),
  ]
}

/** Zero for what is not there. */
function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function isAlive(run: string): boolean {
  const [pid = '', began] = run.split('-')
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    // That of somebody else lives, too.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return beganAt(Number(pid)) === began
}

/** Tells a process from a later one of the same number; empty where there is no /proc. */
function beganAt(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
