/** Modes as git gives them: every spelling of core.sharedRepository against what git itself does with it. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeFolder, replaceFile } from '../../src/git/own-files.ts'
import { parseSharing, sharedMode, shareFolder } from '../../src/git/sharing.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'headgate-sharing-'))
afterAll(() => rmSync(FOLDER, { recursive: true, force: true }))

/** As it stands after the name in the configuration; null for a name alone. */
const SPELLINGS: readonly (string | null)[] = [
  ...[
    null,
    '',
    '""',
    'true',
    'TRUE',
    'yes',
    'on',
    'false',
    'no',
    'Off',
    'group',
    'Group',
    'umask',
    'all',
    'world',
  ],
  ...[
    'everybody',
    'Everybody',
    '0',
    '1',
    '2',
    '3',
    '9',
    '10',
    '00',
    '01',
    '02',
    '0600',
    '0640',
    '0644',
    '0660',
  ],
  ...[
    '0664',
    '0666',
    '0777',
    '640',
    '660',
    '0o640',
    '0o660',
    '0x1',
    '0x0',
    '1k',
    '08',
    '-1',
    '-0600',
    '+0640',
  ],
  ...['0400', '0040', '" 0640"', '"0640 "', '"  "', '+', 'nobody', '0b1'],
]

function git(umask: number, cwd: string, args: string[], input = ''): number | null {
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', GIT_CONFIG_NOSYSTEM: '1', HOME: FOLDER }
  const program = ['-c', `umask ${umask.toString(8)}; exec git "$@"`, 'git', ...args]
  return spawnSync('/bin/sh', program, { cwd, env, input }).status
}

describe.for(SPELLINGS)('core.sharedRepository %j', (spelling) => {
  test.for([0o002, 0o022, 0o077])('with umask %o', (umask) => {
    const repository = mkdtempSync(join(FOLDER, 'repository-'))
    git(0o022, repository, ['init', '-q', '--bare', '.'])
    const text = spelling === null ? 'sharedRepository' : `sharedRepository = ${spelling}`
    writeFileSync(
      join(repository, 'config'),
      `[core]\n\trepositoryFormatVersion = 0\n\tbare = true\n\t${text}\n`,
    )

    const code = git(umask, repository, ['hash-object', '-w', '--stdin'], 'content')

    const value = spelling === null ? null : spelling.replace(/^"(.*)"$/, '$1')
    const sharing = parseSharing(value)
    expect(sharing === undefined, 'refused').toBe(code !== 0)
    if (sharing === undefined) return
    const [name = ''] = readdirSync(join(repository, 'objects')).filter((entry) => entry.length === 2)
    const folder = join(repository, 'objects', name)
    const [file = ''] = readdirSync(folder)
    // git makes an object's file for reading, and its folder with all that the umask leaves.
    const modeOf = (path: string) => statSync(path).mode & 0o7777
    expect(modeOf(folder).toString(8)).toBe(sharedMode(0o777 & ~umask, true, sharing).toString(8))
    expect(modeOf(join(folder, file)).toString(8)).toBe(
      sharedMode(0o444 & ~umask, false, sharing).toString(8),
    )
  })
})

test('what is kept has the mode of its folder, whatever the umask', () => {
  for (const umask of [0o002, 0o022, 0o077]) {
    const top = mkdtempSync(join(FOLDER, 'own-'))
    const before = process.umask(umask)
    try {
      shareFolder(top, parseSharing('group') ?? null)
      const folder = join(top, 'one', 'two')
      makeFolder(folder)
      expect(statSync(folder).mode & 0o7777).toBe(0o2770)
      const modes: [string, object, number][] = [
        ['plain', {}, 0o660],
        ['hook', { executable: true }, 0o770],
        ['key', { secret: true }, 0o640],
      ]
      for (const [name, kind, mode] of modes) {
        expect(replaceFile(join(folder, name), name, kind)).toBe(true)
        expect(statSync(join(folder, name)).mode & 0o7777, name).toBe(mode)
        expect(replaceFile(join(folder, name), name, kind)).toBe(false)
      }
      expect(readFileSync(join(folder, 'key'), 'utf8')).toBe('key')
      expect(readdirSync(folder).sort()).toEqual(['hook', 'key', 'plain'])
      mkdirSync(join(folder, 'in-the-way'))
      expect(() => replaceFile(join(folder, 'in-the-way'), 'text')).toThrow()
      expect(readdirSync(folder).sort()).toEqual(['hook', 'in-the-way', 'key', 'plain'])
    } finally {
      process.umask(before)
    }
  }
})

test('a secret is for the owner alone where nobody else may write', () => {
  const folder = mkdtempSync(join(FOLDER, 'secret-'))
  shareFolder(folder, parseSharing('0644') ?? null)
  replaceFile(join(folder, 'key'), 'key', { secret: true })
  expect(statSync(join(folder, 'key')).mode & 0o777).toBe(0o600)
})
