/** Ref names that git would never let a client type, sent all the same. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as beginnings from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { allRefs, expectPlainText, expectRefused, expectSoundLedger, ledgerRecords } from './attack.ts'
import { receivePack } from './receive-pack-stream.ts'
import { served } from './running-service.ts'

let repository: TestRepository
let released: string
let unproved: string
const zeros = '0'.repeat(40)

beforeAll(async () => {
  repository = new TestRepository({ prepare: beginnings.unproved })
  ;[released = '', unproved = ''] = beginnings.lastCommits(repository, 2)
  return served(repository)
})
afterAll(() => {
  expectSoundLedger(repository)
  repository.remove()
})

/** What headgate wrote; git echoes ref names raw in its own lines, and those are not ours. */
function ours(text: string): string {
  const gits = /^(?:error|warning|fatal|hint): |^(?:To | ! | \* |   )/
  return text
    .split('\n')
    .filter((line) => !gits.test(line))
    .join('\n')
}

/** Bytes as latin1 text, so that a name may be no UTF-8. */
const name = (text: string) => Buffer.from(text, 'latin1')

async function send(command: Buffer) {
  return receivePack(repository, { commands: [command] }, { as: 'dave' })
}

const HOSTILE: readonly (readonly [string, string])[] = [
  ['escape sequence', 'refs/heads/\u001b[31mred'],
  ['title and bell', 'refs/heads/\u001b]0;owned\u0007'],
  ['carriage return', 'refs/heads/a\rremote: headgate: all is well'],
  ['line break', 'refs/heads/a\nremote: headgate: all is well'],
  ['line break and a second update', `refs/heads/a\n${zeros} ${'1'.repeat(40)} refs/heads/release`],
  ['backspaces', 'refs/heads/release\b\b\b\b\b\b\bmain'],
  ['delete character', 'refs/heads/a\u007f'],
  ['C1 control', 'refs/heads/a\u00c2\u009b31m'],
  ['text that runs backwards', 'refs/heads/a\u00e2\u0080\u00aeesaeler'],
  ['zero width space', 'refs/heads/release\u00e2\u0080\u008b'],
  ['line separator', 'refs/heads/a\u00e2\u0080\u00a8remote'],
  ['no UTF-8', 'refs/heads/a\u00ff\u00fe'],
  ['half a character', 'refs/heads/release\u00c3'],
  ['a lone surrogate', 'refs/heads/a\u00ed\u00a0\u0080'],
  ['two dots', 'refs/heads/../heads/release'],
  ['two dots at the end', 'refs/heads/main/..'],
  ['from outside', 'refs/../refs/heads/release'],
  ['from far outside', 'refs/heads/../../../../../../etc/passwd'],
  ['one dot', 'refs/heads/./release'],
  ['two slashes', 'refs/heads//release'],
  ['a slash at the end', 'refs/heads/release/'],
  ['a slash at the start', '/refs/heads/release'],
  ['no refs/', 'heads/release'],
  ['only the branch', 'release'],
  ['HEAD', 'HEAD'],
  ['a pseudo ref', 'FETCH_HEAD'],
  ['the worktree of somebody', 'worktrees/x/refs/heads/release'],
  ['the main worktree', 'main-worktree/refs/heads/release'],
  ['its lock file', 'refs/heads/release.lock'],
  ['a lock folder', 'refs/heads/release.lock/x'],
  ['a dot at the end', 'refs/heads/release.'],
  ['a dot at the start', 'refs/heads/.release'],
  ['a space at the end', 'refs/heads/release '],
  ['a space at the start', ' refs/heads/release'],
  ['two names', 'refs/heads/x refs/heads/release'],
  ['all guarded names at once', 'refs/heads/main refs/heads/release'],
  ['a tab', 'refs/heads/release\t'],
  ['a star', 'refs/heads/rel*'],
  ['a question mark', 'refs/heads/releas?'],
  ['a set', 'refs/heads/[r]elease'],
  ['a backslash', 'refs/heads/rel\\ease'],
  ['revision syntax', 'refs/heads/release@{0}'],
  ['a caret', 'refs/heads/release^{}'],
  ['a tilde', 'refs/heads/release~0'],
  ['a colon', 'refs/heads/main:refs/heads/release'],
  ['an at', 'refs/heads/@'],
  ['an option', 'refs/heads/--exec=sh'],
  ['a command', 'refs/heads/$(touch pwned)'],
  ['a command in backquotes', 'refs/heads/`touch pwned`'],
  ['a variable', 'refs/heads/${IFS}$HOME'],
  ['quotes', `refs/heads/'";touch pwned;'`],
  ['a heredoc delimiter', 'INPUT'],
  ['the empty name', ''],
  ['a very long name', `refs/heads/${'a'.repeat(5000)}`],
  ['a long path', `refs/heads/${'a/'.repeat(2000)}a`],
  ['a path component that no file system has', `refs/heads/${'b'.repeat(300)}`],
  ['the inbox', 'refs/headgate/inbox'],
  ['the inbox with a slash', 'refs/headgate/inbox/'],
  ['an escape in the inbox', 'refs/headgate/inbox/\u001b[31m'],
  ['the inbox, from elsewhere', 'refs/headgate/inbox/../ledger'],
  ['the ledger, through the inbox', 'refs/headgate/inbox/../../headgate/ledger'],
  ['the ledger, with two slashes', 'refs/headgate//ledger'],
  ['the ledger, from elsewhere', 'refs/heads/../headgate/ledger'],
  ['the folder of headgate', 'refs/headgate'],
  ['the folder of headgate, with a slash', 'refs/headgate/'],
  ['an object key', 'refs/heads/__proto__'],
]

/** Those that git itself takes for a branch like any other; they are nobody's business. */
const FREE = [
  'C1 control',
  'text that runs backwards',
  'zero width space',
  'line separator',
  'no UTF-8',
  'half a character',
  'a lone surrogate',
  'an at',
  'an option',
  'a command',
  'a command in backquotes',
  'a variable',
  'quotes',
  'a long path',
  'an object key',
]

const guarded = () =>
  ['refs/heads/release', 'refs/heads/main', 'refs/headgate/ledger'].map((ref) => repository.ref(ref))

describe('a ref name with', () => {
  test.each(HOSTILE)('%s moves nothing that is guarded and paints no terminal', async (what, text) => {
    const before = guarded()
    const all = allRefs(repository)
    const answer = await send(Buffer.concat([Buffer.from(`${zeros} ${unproved} `), name(text)]))
    expect(guarded(), answer.all).toEqual(before)
    expectPlainText(ours(answer.all))
    expect(answer.all).not.toContain('a bug kept it')
    if (!FREE.includes(what)) expect(allRefs(repository)).toEqual(all)
    // Every later command would walk its two thousand folders.
    if (what === 'a long path') repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', '-d', text)
  })

  test('any of this deletes nothing, all of it in one push', async () => {
    const before = allRefs(repository)
    for (const old of [released, zeros, '1'.repeat(40)]) {
      const commands = HOSTILE.filter(([what]) => !FREE.includes(what)).map(([, text]) =>
        Buffer.concat([Buffer.from(`${old} ${zeros} `), name(text)]),
      )
      const answer = await receivePack(repository, { commands, pack: null })
      expect(allRefs(repository), answer.all).toEqual(before)
      expectPlainText(ours(answer.all))
    }
  })

  test('an odd character and release in the same push: release is still judged', async () => {
    for (const [, text] of HOSTILE.slice(0, 8)) {
      const bad = Buffer.concat([Buffer.from(`${zeros} ${released} `), name(text)])
      const good = `${released} ${unproved} refs/heads/release`
      const before = guarded()
      for (const commands of [
        [bad, good],
        [good, bad],
      ]) {
        const answer = await receivePack(repository, { commands })
        expect(guarded(), answer.all).toEqual(before)
        expectPlainText(ours(answer.all))
      }
    }
  })
})

describe('upper and lower case', () => {
  test.each(['refs/heads/Release', 'refs/heads/RELEASE', 'refs/Heads/release', 'REFS/heads/release'])(
    '%s is not release',
    async (other) => {
      const before = repository.ref('refs/heads/release')
      await receivePack(repository, { commands: [`${zeros} ${unproved} ${other}`] })
      expect(repository.ref('refs/heads/release')).toBe(before)
    },
  )
})

describe('a branch below or above a guarded one', () => {
  test('cannot be made while the guarded one is there', async () => {
    for (const ref of ['refs/heads/release/x', 'refs/heads/main/x']) {
      await expectRefused(repository, [], () =>
        receivePack(repository, { commands: [`${zeros} ${unproved} ${ref}`] }),
      )
    }
  })
})

describe('text of a pusher', () => {
  test('in push options of a refused push comes back harmless', async () => {
    const { all } = await expectRefused(repository, ['evidence'], () =>
      repository.push(`${unproved}:release`, {
        args: ['-o', 'note=\u001b[31mred\u202e', '-o', 'plan=\u009b2J', '-o', '\u0007'],
      }),
    )
    expectPlainText(ours(all))
  })

  test('in the name of the pusher comes back harmless', async () => {
    const { all } = await expectRefused(repository, ['operator', 'evidence'], () =>
      repository.push(`${unproved}:release`, { as: '\u001b[31mroot\u202e' }),
    )
    expectPlainText(ours(all))
  })

  test('in push options of a promotion is kept as it is, and never printed raw', async () => {
    repository.prove(unproved)
    const { all } = repository.mustRun(
      repository.push(`${unproved}:release`, {
        args: [
          '-o',
          'note=\u001b[31mred\u202e',
          '-o',
          'plan=later',
          '-o',
          '$(touch pwned)',
          '-o',
          'a\'b"c`d`',
        ],
      }),
    )
    expectPlainText(ours(all))
    const move = ledgerRecords(repository).findLast(({ kind }) => kind === 'authorization')
    expect(move?.predicate['urn:headgate:move'].pushOptions).toEqual([
      'note=\u001b[31mred\u202e',
      'plan=later',
      '$(touch pwned)',
      'a\'b"c`d`',
    ])
    expectPlainText(repository.server('log', '--format=%B', 'refs/headgate/ledger'))
    expect(repository.run('find', [repository.folder, '-name', 'pwned*']).stdout).toBe('')
  })
})
