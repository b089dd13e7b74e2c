import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommitAncestry } from '../../src/git/commit-ancestry.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { openRepository } from '../open-repository.ts'

const COMMITS = 60
let folder: string
let repository: GitRepository
let oids: string[]
/** Of each commit, by number: all that it contains, itself included. */
const contained: Set<number>[] = []

/** A history with merges, two roots and a branch that nothing merges, the same in every run. */
function parentsOf(index: number): number[] {
  if (index === 0 || index === 7) return []
  if (index >= COMMITS - 3) return [index === COMMITS - 3 ? 20 : index - 1]
  const second = (index * 7) % index
  return index % 4 === 0 && second !== index - 1 ? [index - 1, second] : [index === 8 ? 6 : index - 1]
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-ancestry-'))
  const git = (input: string, ...args: string[]) =>
    execFileSync('git', ['--git-dir', folder, ...args], { encoding: 'utf8', input }).trim()
  git('', 'init', '-q', '--bare', folder)
  const stream: string[] = []
  for (let index = 0; index < COMMITS; index++) {
    const [first, second] = parentsOf(index)
    const date = 1_700_000_000 + index
    stream.push(
      `commit refs/heads/c${index}\nmark :${index + 1}\ncommitter Dev <dev@example.com> ${date} +0000\ndata 0\n`,
    )
    if (first !== undefined) stream.push(`from :${first + 1}\n`)
    if (second !== undefined) stream.push(`merge :${second + 1}\n`)
    contained.push(new Set([index, ...parentsOf(index).flatMap((parent) => [...contained[parent]!])]))
  }
  git(stream.join(''), 'fast-import', '--quiet')
  oids = Array.from({ length: COMMITS }, (_, index) => git('', 'rev-parse', `refs/heads/c${index}`))
  repository = await openRepository(folder)
}, 60_000)
afterAll(() => {
  repository.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('of every two commits it knows which contains the other', () => {
  const TIP = COMMITS - 4
  test.each([
    { how: 'asking git first', tips: [TIP], leftOut: [], expected: 0 },
    { how: 'reading the graph at once', tips: [TIP], leftOut: [], expected: 1000 },
    { how: 'without what a commit in the middle contains', tips: [TIP], leftOut: [30], expected: 1000 },
    { how: 'without what two commits contain', tips: [TIP, COMMITS - 1], leftOut: [44, 20], expected: 1000 },
    { how: 'where all is left out', tips: [TIP], leftOut: [TIP], expected: 1000 },
    { how: 'where no branch is known', tips: [], leftOut: [], expected: 1000 },
  ])('$how', { timeout: 60_000 }, async ({ tips, leftOut, expected }) => {
    const at = (numbers: readonly number[]) => numbers.map((number) => oids[number]!)
    const ancestry = new CommitAncestry(repository, at(tips), at(leftOut))
    ancestry.expect(expected)
    // Not every pair, as a process answers some.
    const wrong: string[] = []
    for (let pair = 0; pair < COMMITS * COMMITS; pair += 23) {
      const [ancestor, descendant] = [Math.floor(pair / COMMITS), pair % COMMITS]
      const answer = await ancestry.contains(oids[ancestor]!, oids[descendant]!)
      if (answer !== contained[descendant]!.has(ancestor))
        wrong.push(`${ancestor} in ${descendant}: ${answer}`)
    }
    expect(wrong).toEqual([])
  })
})

test('a commit that is not here is in no other, and nobody can tell what it contains', async () => {
  const ancestry = new CommitAncestry(repository, [oids[COMMITS - 4]!])
  const gone = 'f'.repeat(40)
  expect(await ancestry.contains(gone, oids[9]!)).toBe(false)
  expect(await ancestry.contains(oids[9]!, gone)).toBe(null)
  expect(await ancestry.contains(gone, gone)).toBe(null)
})
