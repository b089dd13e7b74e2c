import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import packageFile from '../../package.json' with { type: 'json' }
import { PROGRAM, type Ran } from '../make-repository.ts'

function headgate(args: readonly string[], env: Record<string, string> = {}): Ran {
  const ran = spawnSync(process.execPath, [PROGRAM, ...args], {
    encoding: 'utf8',
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', ...env },
  })
  return { code: ran.status ?? -1, stdout: ran.stdout, stderr: ran.stderr, all: ran.stdout + ran.stderr }
}

const COMMANDS = [
  'demo',
  'server install',
  'server uninstall',
  'policy check',
  'policy apply',
  'policy show',
  'policy schema',
  'key generate',
  'key line',
  'gate',
  'evidence add',
  'evidence list',
  'evidence invalidate',
  'status',
  'promote',
  'rollback',
  'log',
  'deploy-check',
  'approve',
  'override',
  'freeze',
  'unfreeze',
  'drift',
  'retire',
  'relay',
  'relay init',
  'relay apply',
  'check',
  'init',
  'doctor',
] as const

describe('help', () => {
  test('names every command and the exit codes', () => {
    const { stdout, stderr, code } = headgate(['--help'])
    for (const command of COMMANDS) expect(stdout).toContain(`headgate ${command.split(' ')[0]}`)
    expect(stdout).toMatch(
      /Exit codes: 0 yes, 77 refused or findings, 65 bad data, 64 usage, 78\s+configuration, 69 try again, 70 a bug/,
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  test('is what a call without arguments prints, on stderr, as a usage error', () => {
    const { stdout, stderr, code } = headgate([])
    expect(stderr).toBe(headgate(['--help']).stdout)
    expect(stdout).toBe('')
    expect(code).toBe(64)
  })

  test.each([...COMMANDS, 'server', 'policy', 'key', 'evidence'])(
    'of %s fits 80 columns, and says every option',
    (command) => {
      const { stdout, stderr, code } = headgate([...command.split(' '), '--help'])
      for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80)
      expect(stderr).toBe('')
      expect(code).toBe(0)
      if (!(COMMANDS as readonly string[]).includes(command)) return
      const [before = '', examples = ''] = stdout.split('\nExamples:\n')
      expect(examples).toMatch(new RegExp(`^ {2}(?:[A-Z]+=\\S+ )*headgate ${command}\\b`, 'm'))
      // yargs breaks lines that are too long, and a piece of a command or of a comment cannot be pasted.
      for (const [at, line] of examples.split('\n').entries()) {
        const isContinued = at > 0 && examples.split('\n')[at - 1]?.endsWith('\\')
        const expected = isContinued ? /^ {6}\S/ : /^$|^ {2}(?:# |(?:[A-Z]+=\S+ )*headgate |curl )/
        expect(line).toMatch(expected)
      }
      // An option that is named and not described looks like this.
      expect(before).not.toMatch(/^ +(?:-\w, )?--[\w-]+ +\[/m)
    },
  )

  test('-h and --version', () => {
    expect(headgate(['gate', '-h']).stdout).toBe(headgate(['gate', '--help']).stdout)
    expect(headgate(['--version'])).toMatchObject({ stdout: `${packageFile.version}\n`, stderr: '', code: 0 })
  })

  test('completion prints a script, and completes commands, subcommands and options', () => {
    const script = headgate(['completion'], { SHELL: '/bin/bash' })
    expect(script.stdout).toContain(
      'complete -o bashdefault -o default -F _headgate_yargs_completions headgate',
    )
    expect(script).toMatchObject({ stderr: '', code: 0 })
    expect(spawnSync('bash', ['-n'], { input: script.stdout, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    })
    expect(headgate(['completion', 'bash'], { SHELL: '/bin/zsh' }).stdout).toBe(script.stdout)
    const fish = headgate(['completion', 'fish'], { SHELL: '/bin/bash' })
    expect(fish).toMatchObject({ code: 0, stderr: '' })
    expect(fish.stdout).toMatch(/^complete -c headgate -f -a '\(headgate --get-yargs-completions .*\)'\n$/)
    expect(headgate(['completion'], { SHELL: '/usr/bin/fish' }).stdout).toBe(fish.stdout)
    const zsh = headgate(['completion', 'zsh'], { SHELL: '/bin/bash' })
    expect(zsh.stdout).toMatch(/^#compdef headgate\n/)
    expect(zsh.stdout).toBe(headgate(['completion'], { SHELL: '/bin/zsh' }).stdout)
    const offered = (...words: string[]) =>
      headgate(['--get-yargs-completions', 'headgate', ...words]).stdout.split('\n')
    expect(offered('')).toEqual(expect.arrayContaining(['gate', 'approve', 'server']))
    expect(offered('server', '')).toEqual(['install', 'uninstall', ''])
    expect(offered('gate', '--')).toEqual(expect.arrayContaining(['--record', '--key', '--url']))
  })
})

test.each([
  [['bogus'], 'there is no command "headgate bogus"', 'headgate --help lists its commands'],
  [['gat'], 'there is no command "headgate gat"; did you mean gate?', 'headgate --help lists its commands'],
  [
    ['aprove', '--from', 'x'],
    'there is no command "headgate aprove"; did you mean approve?',
    'headgate --help lists its commands',
  ],
  [
    ['server', 'instal', 'x'],
    'there is no command "headgate server instal"; did you mean install?',
    'headgate server --help lists its commands',
  ],
  [
    ['server'],
    'say what to do: headgate server install REPO.git, or headgate server uninstall REPO.git',
    'headgate server --help lists its commands',
  ],
  [
    ['--verson'],
    'headgate has no option --verson; did you mean --version?',
    'headgate --help lists its commands',
  ],
  [
    ['gate', '--recrod'],
    'headgate gate has no option --recrod; did you mean --record?',
    'headgate gate --help lists its options',
  ],
  [['gate', '--bogus=1'], 'headgate gate has no option --bogus', 'headgate gate --help lists its options'],
  [['gate', '-z'], 'headgate gate has no option -z', 'headgate gate --help lists its options'],
  [
    ['gate', '--mode', 'qa'],
    '--mode "qa" is not one of staging, prod',
    'headgate gate --help lists its options',
  ],
  [
    ['gate', 'extra'],
    '"extra" is one word too many for headgate gate',
    'headgate gate --help lists its options',
  ],
  [
    ['completion', 'tcsh'],
    'SHELL "tcsh" is not one of bash, zsh, fish',
    'headgate completion --help lists its commands',
  ],
  [['check', ''], 'COMMIT needs a value', 'give it one, or leave it out where it may be left out'],
  [['gate', '--url'], '--url needs a value', 'give it one, or leave it out where it may be left out'],
  [['gate', '--url', ''], '--url needs a value', 'give it one, or leave it out where it may be left out'],
  [['gate', '--url', 'a', '--url', 'b'], '--url is given twice', 'give it once'],
  [
    ['server', 'install'],
    'headgate server install needs REPO',
    'headgate server install --help lists its options',
  ],
  [
    ['evidence', 'add'],
    'headgate evidence add needs --commit',
    'headgate evidence add --help lists its options',
  ],
  [
    ['server', 'install', 'x', '--identiy', 'y'],
    'headgate server install has no option --identiy; did you mean --identity?',
    'headgate server install --help lists its options',
  ],
  [
    ['approve', '--from', 'a'],
    'headgate approve needs --to and --reason',
    'headgate approve --help lists its options',
  ],
  [
    ['log', '--export', 'a', '--receipt', '2'],
    '--export and --receipt exclude each other',
    'headgate log --help lists its options',
  ],
  [['log', '--log-branch', 'a'], '--log-branch needs --append', 'headgate log --help lists its options'],
  [['evil\x1b[31m'], 'there is no command "headgate evil\\x1b[31m"', 'headgate --help lists its commands'],
])('headgate %j is a usage error that says what is wrong', (args, message, hint) => {
  const { stdout, stderr, code } = headgate(args)
  expect(stderr).toBe(`headgate: ${message}\n  hint: ${hint}\n`)
  expect(stdout).toBe('')
  expect(code).toBe(64)
})

test('the reader of a long output may go away', () => {
  const ran = spawnSync(
    'bash',
    ['-c', `"${process.execPath}" "${PROGRAM}" --help | true; echo "$\{PIPESTATUS[0]}"`],
    {
      encoding: 'utf8',
    },
  )
  expect(ran).toMatchObject({ stdout: '0\n', stderr: '' })
})

test('in a folder that was deleted it says so', () => {
  const command = `cd "$(mktemp -d)" && rmdir "$PWD" && exec "${process.execPath}" "${PROGRAM}" gate`
  const ran = spawnSync('bash', ['-c', command], { encoding: 'utf8' })
  expect(ran.stderr).toBe('headgate: the current folder no longer exists\n  hint: cd to one that does\n')
  expect(ran.status).toBe(64)
})

test('a full disk is no bug of headgate: one error with its hint, exit 69', () => {
  const ran = spawnSync('bash', ['-c', `"${process.execPath}" "${PROGRAM}" --help >/dev/full`], {
    encoding: 'utf8',
  })
  expect(ran.stderr).toMatch(/^headgate: .*ENOSPC.*\n {2}hint: .+\n$/)
  expect(ran.status).toBe(69)
})
