import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { auditCommits } from '../../src/ledger/audit-log.ts'
import { type LedgerCommit, logCommits } from '../../src/ledger/commit-log.ts'
import { openRepository } from '../open-repository.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-log-'))
  git('', 'init', '-q', '--bare', folder)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function git(input: string, ...args: string[]): string {
  return execFileSync('git', ['--git-dir', folder, ...args], { encoding: 'utf8', input }).trim()
}

async function logged(...range: string[]): Promise<LedgerCommit[]> {
  const repository = await openRepository(folder)
  const commits: LedgerCommit[] = []
  for await (const some of logCommits(repository, range)) commits.push(...some)
  return commits
}

function imported(...commits: readonly (readonly string[])[]): string {
  const stream = commits.map(
    (paths, index) =>
      `commit refs/heads/log\ncommitter Dev <dev@example.com> ${1_700_000_000 + index} +0000\ndata 0\n${paths
        .map((path) => `M 100644 inline "${path}"\ndata 1\nx\n`)
        .join('')}`,
  )
  git(stream.join(''), 'fast-import', '--quiet', '--force')
  return git('', 'rev-parse', 'refs/heads/log')
}

test('a file may be called what begins a commit here', async () => {
  const other = 'a'.repeat(40)
  const tip = imported(['entries/1'], [`\\001${other} ${other}`, 'entries/2'])
  const commits = await logged(tip)
  expect(commits).toHaveLength(2)
  expect(commits[1]?.oid).toBe(tip)
  expect(commits[1]?.changes.map(({ path }) => path)).toEqual([`\x01${other} ${other}`, 'entries/2'])
})

test('the commits before one that changes too much come first', async () => {
  const many = Array.from({ length: 17 }, (_, index) => `file${index}`)
  const repository = await openRepository(folder)
  const tip = imported(['a'], ['b'], many, ['c'])
  const seen: string[] = []
  const reading = (async () => {
    for await (const some of logCommits(repository, [tip]))
      seen.push(...some.map(({ changes }) => changes[0]?.path ?? ''))
  })()
  await expect(reading).rejects.toThrow(/changes more than a record/)
  expect(seen).toEqual(['a', 'b'])
})

test('an auditor is told of every commit, in order, however many add no record', {
  timeout: 60_000,
}, async () => {
  const count = 52_000
  const none = Array.from({ length: count }, () => [] as string[])
  const tip = imported(['entries/1'], ...none, ['entries/2'])
  const repository = await openRepository(folder)
  const seen: string[] = []
  let before: string | undefined
  for await (const { oid, parents, entry, problem } of auditCommits(repository, tip, null)) {
    if (parents[0] !== before) seen.push(`${oid} is not on top of ${before}`)
    before = oid
    if (entry !== null || problem !== 'changes 0 records, not one') seen.push(entry?.path ?? problem)
  }
  repository.close()
  expect(seen).toEqual(['entries/1', 'entries/2'])
  expect(before).toBe(tip)
})
