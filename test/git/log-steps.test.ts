/** What a push makes the server read of its release logs is bounded in bytes, however many commits it has. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decideStaging } from '../../src/core/decide.ts'
import { gatherStagingMove } from '../../src/git/gather-facts.ts'
import { gatherLogSteps, PUSH_LIMITS } from '../../src/git/gather-log-steps.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { GIT, openRepository } from '../open-repository.ts'

const PATH = 'docs/RELEASE_LOG.md'
const MAIN = 'refs/heads/main'

let folder: string
let repository: GitRepository
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-log-'))
  execFileSync('git', ['init', '-q', '--bare', folder])
  repository = await openRepository(folder, { gitPath: GIT })
})
afterAll(() => {
  repository.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Commits on top of each other, each with these changes; their ids, the oldest first. */
function history(changes: readonly string[]): string[] {
  const commits = changes.map(
    (change, index) =>
      `commit ${MAIN}\nmark :${index + 1}\ncommitter a <a@example.com> ${1_700_000_000 + index} +0000\ndata 1\nx\n${index === 0 ? '' : `from :${index}\n`}${change}\n`,
  )
  const marks = join(folder, 'marks')
  execFileSync('git', ['fast-import', '--quiet', '--force', `--export-marks=${marks}`], {
    cwd: folder,
    input: commits.join(''),
  })
  const lines = execFileSync('cat', [marks], { encoding: 'utf8' }).trim().split('\n')
  const oids = new Map(lines.map((line) => line.slice(1).split(' ') as [string, string]))
  return changes.map((_, index) => oids.get(`${index + 1}`) ?? '')
}

function file(path: string, text: string): string {
  return `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`
}

const judge = async (from: string, to: string) =>
  decideStaging(await gatherStagingMove(repository, { ref: MAIN, from, to }, from, PATH)).flatMap(
    ({ found }) => found,
  )

test('a log that grows a line a commit is read up to the limit, and the refusal names it', async () => {
  const grown = (size: number) => `${'- an entry\n'.repeat(size)}`
  const commits = history(Array.from({ length: 60 }, (_, index) => file(PATH, grown(100_000 + index))))
  const [first = '', last = ''] = [commits[0], commits.at(-1)]
  expect(await judge(first, last)).toEqual([])
  const limits = { ...PUSH_LIMITS, totalBytes: 10 * 1_100_000 }
  const steps = await gatherLogSteps(repository, first, last, PATH, limits)
  expect(steps.length).toBeLessThan(12)
  expect(steps.at(-1)?.unclear).toContain('MiB to read for it; push fewer commits at a time')
})

test('a log of more than 4 MiB is refused by its size, where it comes and where it grew', async () => {
  const large = 'x'.repeat(4 * 1024 * 1024)
  const [none = '', small = '', one = '', most = '', more = ''] = history([
    file('a', 'a'),
    file(PATH, 'a\n'),
    file(PATH, `a\n${large}\n`),
    file(PATH, 'b\n'),
    file(PATH, large),
  ])
  const found = `${one.slice(0, 7)} has a ${PATH} that cannot be judged: it has 4194307 bytes, and a release log has at most 4194304 (4 MiB); a policy that names another file as releaseLog begins a new one`
  for (const from of [small, none]) expect(await judge(from, one)).toContain(found)
  expect((await judge(most, more)).join()).toContain('edits or shortens')
})

test('commits that name the same large trees again and again cost what two of them cost', async () => {
  const entries = (kind: string) =>
    Array.from({ length: 3000 }, (_, index) => file(`docs/${kind}${index}`, '')).join('')
  const [one = '', two = ''] = history([
    `${file(PATH, 'a\n')}${entries('a')}`,
    `deleteall\n${file(PATH, 'a\n')}${entries('b')}`,
  ])
  const trees = [one, two].map((oid) =>
    execFileSync('git', ['rev-parse', `${oid}^{tree}`], { cwd: folder, encoding: 'utf8' }).trim(),
  )
  const back = history(Array.from({ length: 1000 }, (_, index) => `M 040000 ${trees[index % 2]} \n`))
  const bytes = trees.map((tree) =>
    Number(execFileSync('git', ['cat-file', '-s', `${tree}:docs`], { cwd: folder, encoding: 'utf8' })),
  )
  const limits = { ...PUSH_LIMITS, totalBytes: bytes.reduce((sum, size) => sum + size, 10_000) }
  expect(await gatherLogSteps(repository, back[0] ?? '', back.at(-1) ?? '', PATH, limits)).toEqual([])
  const less = { ...limits, totalBytes: (bytes[0] ?? 0) / 2 }
  expect(
    (await gatherLogSteps(repository, back[0] ?? '', back.at(-1) ?? '', PATH, less))[0]?.unclear,
  ).toContain('push fewer')
})

test('after five commits that nobody may take the rest is not looked at', async () => {
  const commits = history(Array.from({ length: 50 }, (_, index) => file(PATH, `${index}\n`)))
  const steps = await gatherLogSteps(repository, commits[0] ?? '', commits.at(-1) ?? '', PATH, PUSH_LIMITS)
  expect(steps).toHaveLength(5)
})
