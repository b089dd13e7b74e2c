/**
 * Refs by their full names, as git says where they are. Nothing here knows how refs are stored: files, packed or not, and
 * a reftable are git's business.
 */
import { HeadgateError } from '../core/errors.ts'
import type { Oid } from '../core/oid.ts'
import { firstLines, type RunOptions, type RunResult } from './process.ts'

export type Ref = {
  /** What the ref is at; zeros for a symbolic ref whose target does not exist yet. */
  readonly oid: Oid
  /** For a symbolic ref the full name of the ref at the end of the chain. */
  readonly symref?: string
}

/** Names of one question: some hundred kilobytes of arguments, where Linux takes two megabytes. */
const MAX_NAMES = 500

/**
 * Whether git could have a ref of this full name (git-check-ref-format(1)). Names from the wire are bytes that nobody has
 * looked at; the rules also keep out `..`, and every character that git reads as a pattern.
 */
export function isRefName(name: string): boolean {
  if (!name.startsWith('refs/') || name.length > 1024 || !name.isWellFormed()) return false
  if (/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\.$/.test(name)) return false
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
}

export type RunGit = (args: readonly string[], options?: RunOptions) => Promise<RunResult>

/**
 * Those of the named refs that exist; `isRefName` must accept each name. git reads them in the order of their names, so
 * that `refs/headgate/...` is not newer than `refs/heads/...`. Throws HeadgateError 'data' for a ref that is there but
 * broken.
 */
export async function readRefs(
  run: RunGit,
  names: readonly string[],
  oidLength: 40 | 64,
  mayDangle: (name: string) => boolean = () => true,
): Promise<Map<string, Ref>> {
  const found = new Map<string, Ref>()
  for (let start = 0; start < names.length; start += MAX_NAMES)
    await list(run, names.slice(start, start + MAX_NAMES), found)
  for (const name of names) {
    if (found.has(name) || !mayDangle(name)) continue
    // for-each-ref leaves out a symbolic ref whose target is still to be born.
    const symbolic = await run(['symbolic-ref', '--quiet', name], { allowExit: [1] })
    if (symbolic.exitCode !== 0) continue
    found.set(name, { oid: '0'.repeat(oidLength), symref: symbolic.stdout.toString('utf8').trimEnd() })
  }
  return found
}

/** Names of refs hold no pattern characters, so that as patterns they match themselves and what is below them. */
async function list(run: RunGit, names: readonly string[], found: Map<string, Ref>): Promise<void> {
  const wanted = new Set(names)
  const { stdout, stderr } = await run([
    'for-each-ref',
    '--format=%(objectname) %(refname) %(symref)',
    ...names,
  ])
  const said = stderr.split('\n').filter((line) => line !== '' && !isOfAnother(line, wanted))
  if (said.length > 0) throw new HeadgateError('data', `git for-each-ref: ${firstLines(said.join('\n'))}`)
  for (const line of stdout.toString('utf8').split('\n')) {
    const [oid = '', name = '', target = ''] = line.split(' ')
    if (wanted.has(name)) found.set(name, target === '' ? { oid } : { oid, symref: target })
  }
}

/** git goes by the beginnings of names, and complains of `main-2` where `main` is asked for. */
function isOfAnother(line: string, wanted: ReadonlySet<string>): boolean {
  const [, name] = /^warning: ignoring (?:broken ref|ref with broken name) (.+)$/.exec(line) ?? []
  return name !== undefined && !wanted.has(name)
}
