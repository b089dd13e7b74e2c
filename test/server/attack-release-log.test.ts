/**
 * Tricks with docs/RELEASE_LOG.md on main: whatever the road, its lines stay. Of each kind some are pushed; for the others
 * the rule is asked here, with what the server would gather of the push.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { decideStaging } from '../../src/core/decide.ts'
import { gatherStagingMove } from '../../src/git/gather-facts.ts'
import type { GitRepository } from '../../src/git/repository.ts'
import { TestRepository } from '../make-repository.ts'
import { GIT, openRepository } from '../open-repository.ts'
import { expectChanged, expectRefused, expectSoundLedger } from './attack.ts'
import { served } from './running-service.ts'

const LOG = 'docs/RELEASE_LOG.md'
const LINES = '# Releases\n\n- one\n- two\n'

let repository: TestRepository
let main: string
/** The clone, which has the commits that are not pushed. */
let judging: GitRepository

beforeAll(async () => {
  repository = new TestRepository()
  repository.commit('log', { [LOG]: LINES, 'docs/other.md': 'other\n' })
  repository.mustRun(repository.push('main'))
  judging = await openRepository(join(repository.clone, '.git'), { gitPath: GIT })
  return served(repository)
})
afterAll(() => {
  judging.close()
  expectSoundLedger(repository)
  repository.remove()
})
beforeEach(() => {
  main = repository.ref('refs/heads/main') ?? ''
})

type Entry = { readonly mode?: string; readonly text?: string; readonly oid?: string }

/** A commit on `parents` with the first one's tree and these files changed; null removes a path, a folder too. */
function commit(
  parents: readonly string[],
  files: Record<string, Entry | string | null>,
  subject = 'change',
): string {
  const data = (text: string) => `data ${Buffer.byteLength(text)}\n${text}\n`
  const changes = Object.entries(files).map(([path, entry]) => {
    const gone = `D ${path}\n`
    if (entry === null) return gone
    const { mode = '100644', text = '', oid } = typeof entry === 'string' ? { text: entry } : entry
    return `${gone}M ${mode} ${oid ?? 'inline'} ${path}\n${oid === undefined ? data(text) : ''}`
  })
  const [first, ...others] = parents
  const lines = [
    'commit refs/heads/attack\nmark :1\n',
    `committer Dev <dev@example.com> ${Math.floor(Date.now() / 1000)} +0000\n${data(`${subject}\n`)}`,
    ...(first === undefined ? [] : [`from ${first}\n`]),
    ...others.map((oid) => `merge ${oid}\n`),
    ...changes,
    'get-mark :1\n',
  ]
  const run = repository.run('git', ['fast-import', '--quiet', '--force'], {
    cwd: repository.clone,
    input: lines.join(''),
  })
  return repository.mustRun(run).stdout.trim()
}

const refused = (oid: string) =>
  expectRefused(repository, ['log-append-only'], () => repository.push(`${oid}:refs/heads/main`))

const accepted = async (oid: string) => {
  await expectChanged(repository, { 'refs/heads/main': oid }, () => repository.push(`${oid}:refs/heads/main`))
  // Back to where it was, behind the guard: the next attack starts from the same log.
  repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/main', main)
}

/** The rules that object to a push of this commit to main. */
async function objections(oid: string): Promise<string[]> {
  const update = { ref: 'refs/heads/main', from: main, to: oid }
  return decideStaging(await gatherStagingMove(judging, update, main, LOG)).map(({ rule }) => rule)
}

const isRefused = async (oid: string) => expect(await objections(oid)).toEqual(['log-append-only'])
const isAccepted = async (oid: string) => expect(await objections(oid)).toEqual([])

const PUSHED = ['edits a line', 'deletes it', 'makes it a symbolic link', 'appends a line', 'leaves it alone']

describe('one commit that', () => {
  test.each<[string, Record<string, Entry | string | null>]>([
    ['edits a line', { [LOG]: LINES.replace('one', 'won') }],
    ['edits the last line', { [LOG]: LINES.replace('two', 'too') }],
    ['edits and appends', { [LOG]: `${LINES.replace('one', 'won')}- three\n` }],
    ['truncates it', { [LOG]: '# Releases\n\n- one\n' }],
    ['takes off the last line break', { [LOG]: LINES.slice(0, -1) }],
    ['empties it', { [LOG]: '' }],
    ['puts a line on top', { [LOG]: `- zero\n${LINES}` }],
    ['puts a line in the middle', { [LOG]: '# Releases\n\n- one\n- one and a half\n- two\n' }],
    ['changes its line breaks', { [LOG]: LINES.replaceAll('\n', '\r\n') }],
    ['puts a byte order mark before it', { [LOG]: `\ufeff${LINES}` }],
    ['reorders it', { [LOG]: '# Releases\n\n- two\n- one\n' }],
    ['deletes it', { [LOG]: null }],
    ['renames it', { [LOG]: null, 'docs/RELEASES.md': LINES }],
    ['changes the case of its name', { [LOG]: null, 'docs/release_log.md': LINES }],
    ['moves its folder', { docs: null, 'doc/RELEASE_LOG.md': LINES }],
    ['deletes its folder', { docs: null }],
    ['makes its folder a file', { docs: 'a file' }],
    [
      'makes its folder a symbolic link',
      { docs: { mode: '120000', text: 'elsewhere' }, 'elsewhere/RELEASE_LOG.md': LINES },
    ],
    ['makes its folder a submodule', { docs: { mode: '160000', oid: '1'.repeat(40) } }],
    ['makes it a folder', { [LOG]: null, [`${LOG}/part1`]: LINES }],
    ['makes it a symbolic link', { [LOG]: { mode: '120000', text: 'other.md' } }],
    ['makes it a symbolic link to its own text', { [LOG]: { mode: '120000', text: LINES } }],
    ['makes it a submodule', { [LOG]: { mode: '160000', oid: '1'.repeat(40) } }],
    ['makes it executable', { [LOG]: { mode: '100755', text: LINES } }],
    ['makes it executable and appends', { [LOG]: { mode: '100755', text: `${LINES}- three\n` } }],
  ])('%s is refused', (name, files) => (PUSHED.includes(name) ? refused : isRefused)(commit([main], files)))

  test.each<[string, Record<string, Entry | string | null>]>([
    ['appends a line', { [LOG]: `${LINES}- three\n` }],
    ['appends without a last line break', { [LOG]: `${LINES}- three` }],
    ['appends bytes that are no text', { [LOG]: `${LINES}\u0000\u001b[31m` }],
    ['leaves it alone', { 'file.txt': 'x' }],
    ['has a file of another case beside it', { 'docs/release_log.md': 'x' }],
    ['has a log elsewhere', { 'sub/docs/RELEASE_LOG.md': 'x' }],
    ['changes its sibling', { 'docs/other.md': null }],
  ])('%s passes', (name, files) => (PUSHED.includes(name) ? accepted : isAccepted)(commit([main], files)))
})

describe('a push of several commits', () => {
  test('that edits in the middle and undoes it later is refused, and names the commit', async () => {
    const edit = commit([main], { [LOG]: 'nothing\n' }, 'edit')
    const undo = commit([edit], { [LOG]: LINES }, 'undo')
    const { all } = await refused(commit([undo], { 'file.txt': 'more' }))
    expect(all).toContain(edit.slice(0, 7))
  })

  test('that deletes and brings it back is refused', async () => {
    const gone = commit([main], { [LOG]: null })
    await isRefused(commit([gone], { [LOG]: LINES }))
    await isRefused(commit([gone], { [LOG]: `${LINES}- three\n` }))
  })

  test('that makes it a link for one commit is refused', async () => {
    const link = commit([main], { [LOG]: { mode: '120000', text: 'x' } })
    await isRefused(commit([link], { [LOG]: LINES }))
  })

  test('that glues something to a line without a last line break is refused', async () => {
    const open = commit([main], { [LOG]: `${LINES}- three` })
    await isRefused(commit([open], { [LOG]: `${LINES}- three, which was bad\n` }))
    await isAccepted(commit([open], { [LOG]: `${LINES}- three\n- four\n` }))
  })

  test('that only appends passes', async () => {
    const three = commit([main], { [LOG]: `${LINES}- three\n` })
    const between = commit([three], { 'file.txt': 'between' })
    await isAccepted(commit([between], { [LOG]: `${LINES}- three\n- four\n` }))
  })

  test('whose edit is far down is found', async () => {
    let at = commit([main], { [LOG]: 'nothing\n' }, 'edit')
    at = commit([at], { [LOG]: LINES }, 'undo')
    for (let index = 0; index < 30; index++) at = commit([at], { 'file.txt': `${index}` }, `${index}`)
    await refused(at)
  })
})

describe('merges', () => {
  test('a merge that edits is refused, though neither parent does', async () => {
    const side = commit([main], { 'side.txt': 'x' })
    await refused(commit([main, side], { [LOG]: LINES.replace('one', 'won'), 'side.txt': 'x' }))
  })

  test('a merge that takes the edit of its side branch is refused', async () => {
    const side = commit([main], { [LOG]: 'nothing\n' })
    await isRefused(commit([main, side], { [LOG]: 'nothing\n' }))
  })

  test('a merge that drops the edit of its side branch passes: main never had it', async () => {
    const side = commit([main], { [LOG]: 'nothing\n' })
    await isAccepted(commit([main, side], {}))
  })

  test('an octopus that edits is refused', async () => {
    const sides = ['a', 'b', 'c'].map((name) => commit([main], { [`${name}.txt`]: name }))
    await isRefused(commit([main, ...sides], { [LOG]: `${LINES}x`.slice(1) }))
  })

  test('a foxtrot merge, main second, that loses the lines of main is refused', async () => {
    const old = repository.git('rev-parse', `${main}~1`)
    const side = commit([old], { 'side.txt': 'x' })
    await refused(commit([side, main], {}))
    const own = commit([old], { [LOG]: '# Releases\n\n- forged\n' })
    await isRefused(commit([own, main], {}))
    await isRefused(commit([own, main], { [LOG]: `# Releases\n\n- forged\n- one\n- two\n` }))
  })

  test('a foxtrot merge whose branch had another log, which its merge replaces by that of main, is refused', async () => {
    const own = commit([repository.git('rev-parse', `${main}~1`)], { [LOG]: 'forged\n' })
    await isRefused(commit([own, main], { [LOG]: LINES }))
  })

  test('a foxtrot merge that keeps every line passes', async () => {
    const side = commit([repository.git('rev-parse', `${main}~1`)], { 'side.txt': 'x' })
    await accepted(commit([side, main], { [LOG]: LINES }))
  })

  test('a merge of an unrelated history with its own log', async () => {
    const orphan = commit([], { [LOG]: 'another world\n' })
    await isAccepted(commit([main, orphan], {}))
    await isRefused(commit([main, orphan], { [LOG]: 'another world\n' }))
    await isRefused(commit([orphan, main], {}))
  })

  test('the edit is found behind two levels of first parents', async () => {
    const side = commit([main], { 'side.txt': 'x' })
    const bad = commit([main, side], { [LOG]: 'nothing\n' })
    const good = commit([bad, main], { [LOG]: LINES })
    await isRefused(commit([good], { 'file.txt': 'y' }))
  })
})

describe('a log that is not there yet', () => {
  test('may come with any content, and is guarded from then on; before a first main anything but a file is refused', async () => {
    const fresh = new TestRepository({ install: false })
    try {
      fresh.server('update-ref', '-d', 'refs/heads/main')
      fresh.install()
      const link = fresh.git(
        'commit-tree',
        fresh
          .mustRun(
            fresh.run('git', ['mktree'], {
              cwd: fresh.clone,
              input: `040000 tree ${fresh
                .mustRun(
                  fresh.run('git', ['mktree'], {
                    cwd: fresh.clone,
                    input: `120000 blob ${fresh.git('rev-parse', 'main:file.txt')}\tRELEASE_LOG.md\n`,
                  }),
                )
                .stdout.trim()}\tdocs\n`,
            }),
          )
          .stdout.trim(),
        '-m',
        'a link',
      )
      await expectRefused(fresh, ['log-append-only'], () => fresh.push(`${link}:refs/heads/main`))
      const first = fresh.git('rev-parse', 'main')
      await expectChanged(fresh, { 'refs/heads/main': first }, () => fresh.push('main'))
      const made = fresh.commit('the first lines', { [LOG]: 'anything' })
      await expectChanged(fresh, { 'refs/heads/main': made }, () => fresh.push('main'))
      fresh.commit('glued', { [LOG]: 'anything goes' })
      await expectRefused(fresh, ['log-append-only'], () => fresh.push('main'))
    } finally {
      fresh.remove()
    }
  })
})

describe('through settings that change what git shows', () => {
  const SETTINGS: [string, string][] = [
    ['diff.renames', 'copies'],
    ['log.follow', 'true'],
    ['log.showRoot', 'false'],
    ['log.diffMerges', 'off'],
    ['diff.ignoreSubmodules', 'all'],
    ['core.quotePath', 'true'],
    ['diff.noprefix', 'true'],
    ['diff.external', '/bin/true'],
    ['core.attributesFile', '/dev/null'],
  ]
  test.each(SETTINGS)('%s=%s in the repository hides no edit', async (name, value) => {
    const renamed = commit([main], { [LOG]: null, 'docs/RELEASES.md': LINES })
    const undone = commit([renamed], { [LOG]: LINES })
    const merged = commit([main, renamed], { [LOG]: { mode: '160000', oid: '1'.repeat(40) } })
    repository.git('config', name, value)
    try {
      await isRefused(undone)
      await isRefused(merged)
    } finally {
      repository.git('config', '--unset', name)
    }
  })

  test('all of them together in the repository that is pushed to hide no edit', async () => {
    const renamed = commit([main], { [LOG]: null, 'docs/RELEASES.md': LINES })
    for (const [name, value] of SETTINGS) repository.server('config', name, value)
    try {
      await refused(commit([renamed], { [LOG]: LINES }))
      await refused(commit([main, renamed], { [LOG]: { mode: '160000', oid: '1'.repeat(40) } }))
    } finally {
      for (const [name] of SETTINGS) repository.server('config', '--unset', name)
    }
  })

  test('i18n.logOutputEncoding=UTF-16 in the repository stops no append', async () => {
    repository.server('config', 'i18n.logOutputEncoding', 'UTF-16')
    try {
      await accepted(commit([main], { [LOG]: `${LINES}- three\n` }))
    } finally {
      repository.server('config', '--unset', 'i18n.logOutputEncoding')
    }
  })
})

test.each([
  ['LF', LINES, LINES.replaceAll('\n', '\r\n'), `${LOG} text eol=lf`],
  ['CRLF', LINES.replaceAll('\n', '\r\n'), `${LINES}- three\n`, `${LOG} -text`],
])(
  'other line ends than the recorded %s are called that, with the line for .gitattributes',
  (_, recorded, changed, line) => {
    const other = new TestRepository()
    try {
      other.commit('log', { [LOG]: recorded })
      other.mustRun(other.push('main'))
      other.commit('line ends', { [LOG]: changed })
      const ran = other.push('main')
      expect(ran.code, ran.all).not.toBe(0)
      expect(ran.all).toContain(`changes the line ends of ${LOG}`)
      expect(ran.all).toContain(`echo '${line}' >> .gitattributes`)
      other.commit('edit', { [LOG]: '# other\n' })
      expect(other.push('HEAD:main').all).toContain(`edits or shortens ${LOG}`)
    } finally {
      other.remove()
    }
  },
)
