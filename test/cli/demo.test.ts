import { spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PROGRAM } from '../make-repository.ts'
import { GIT } from '../open-repository.ts'

let folder: string

// A blank in every path: TMPDIR is the user's.
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate demo-'))
  mkdirSync(join(folder, 'tmp'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What is left of the demo in its TMPDIR. */
const left = () => readdirSync(join(folder, 'tmp'))

type Ended = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }

function demo(
  args: readonly string[] = [],
  env: Record<string, string> = {},
  onOutput: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, 'demo', ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, TMPDIR: join(folder, 'tmp'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    onOutput(stdout, (signal) => child.kill(signal))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** Puts a program of that name before all others in PATH. */
function replaceProgram(name: string, script: string): Record<string, string> {
  const programs = join(folder, 'programs')
  mkdirSync(programs)
  writeFileSync(join(programs, name), script)
  chmodSync(join(programs, name), 0o755)
  return { PATH: `${programs}:${process.env.PATH}` }
}

describe('headgate demo', () => {
  test('shows every step with what git says, and takes nothing of whoever runs it; --keep leaves the folder, and its hints work when pasted', async () => {
    writeFileSync(
      join(folder, '.gitconfig'),
      '[user]\n\tuseConfigOnly = true\n[commit]\n\tgpgSign = true\n[core]\n\thooksPath = /nowhere\n[init]\n\tdefaultBranch = trunk\n[push]\n\tgpgSign = true\n[fetch]\n\tprune = true\n',
    )
    const { code, stdout, stderr } = await demo(['--keep'], {
      GIT_DIR: '/nowhere',
      GIT_AUTHOR_DATE: 'nonsense',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.bare',
      GIT_CONFIG_VALUE_0: 'maybe',
      USER: 'mallory',
      MODE: 'prod',
      BASE: 'http://127.0.0.1:9',
      HEADGATE_KEY: '/nowhere',
    })
    expect({ code, stderr, end: stdout.slice(-3000) }).toMatchObject({ code: 0, stderr: '' })
    for (const line of [
      /^dave\$ git push origin main$/m,
      /^alice\$ git push origin [0-9a-f]{7}:release$/m,
      /^ remote: headgate: push refused$/m,
      /^ {2}! \[remote rejected\] [0-9a-f]{7} -> release \(pre-receive hook declined\)$/m,
      /^ remote: {5}there is no staging evidence for [0-9a-f]{7}$/m,
      /no gate was run/,
      /^ PASSED: 4 of 4 gates passed on staging for [0-9a-f]{7}$/m,
      /^ remote: headgate: release is now [0-9a-f]{7}, promotion 1, ledger record/m,
      /^ok: refused by on-staging/m,
      /is a merge commit that was made onto release/,
      /^ok: refused by fast-forward, known-good, approval;/m,
      /^ok: refused by release-delete;/m,
      /^ok: refused by operator;/m,
      /policy(?:\s|remote:)+allows(?:\s|remote:)+1(?:\s|remote:)*s/,
      /^ remote: headgate: release is now [0-9a-f]{7}, rollback 1, ledger record/m,
      /^ok: refused by barred;/m,
      /has been used/,
      /^ [0-9a-f]{7} rollback [0-9a-f]{7} authorized on release from [0-9a-f]{7}, by alice$/m,
      /^ Good "headgate-ledger" signature for headgate-seal/m,
      /^All went as told/m,
    ]) {
      expect(stdout).toMatch(line)
    }
    expect(stdout).not.toContain('\x1b')
    // Lines of the server are its own matter, and its commands stay whole; the folder has the name that TMPDIR gives it.
    const tooWide = stdout
      .slice(0, stdout.indexOf('To go on by hand'))
      .split('\n')
      .filter((line) => line.length > 80 && !line.startsWith(' remote: ') && !line.includes(folder))
    expect(tooWide).toEqual([])

    // The hints are for any shell of the user's.
    rmSync(join(folder, '.gitconfig'))
    const [name = ''] = left()
    const kept = join(folder, 'tmp', name)
    expect(stdout).toContain(`The folder is kept: ${kept}`)
    expect(existsSync(join(kept, 'app.git', 'headgate', 'guarded'))).toBe(true)
    const said = await paste(stdout)
    expect(said).toMatch(/there is no staging evidence/)
    expect(said).toMatch(/dave is not an operator of release/)
    expect(said).toMatch(/remote: headgate: release is now [0-9a-f]{7}, promotion 4, ledger record/)
    expect(existsSync(kept)).toBe(false)
  })

  test('fails and cleans up when a step does not go as told', async () => {
    // A git that says that it pushed and did not.
    const git = GIT
    const lying = replaceProgram(
      'git',
      `#!/bin/sh\ncase $* in 'push origin '*:release) exit 0 ;; esac\nexec ${git} "$@"\n`,
    )
    const { code, stdout, stderr } = await demo([], lying)
    expect(code).toBe(77)
    expect(stdout).toMatch(/^NOT AS TOLD\n {2}the push was to be refused by the rule evidence/m)
    expect(stderr).toMatch(/^headgate: the demo did not go as told\n {2}hint: /)
    expect(left()).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('cleans up after %s', async (signal) => {
    let sent = false
    const ended = await demo([], {}, (stdout, kill) => {
      if (sent || !/^ 2 /m.test(stdout)) return
      sent = true
      kill(signal)
    })
    expect(ended).toMatchObject({ signal, stderr: '' })
    expect(left()).toEqual([])
  })

  test.each([
    ['git', []],
    ['ssh-keygen', ['git']],
  ] as const)('says that %s is missing', async (missing, present) => {
    const programs = join(folder, 'programs')
    mkdirSync(programs)
    for (const name of present) symlinkSync(GIT, join(programs, name))
    const { code, stderr, stdout } = await demo([], { PATH: programs })
    expect({ code, stderr, stdout }).toEqual({
      code: 78,
      stderr: expect.stringMatching(
        new RegExp(`^headgate: the demo needs ${missing}, .*\n {2}hint: install .*\n$`),
      ),
      stdout: '',
    })
    expect(left()).toEqual([])
  })
})

/** The commands of the hints, as one would paste them into a new terminal; refusals don't end it. */
async function paste(stdout: string): Promise<string> {
  const hints = stdout.slice(stdout.indexOf('To go on by hand'))
  const commands = hints
    .split('\n')
    .filter((line) => /^ {2}/.test(line))
    .map((line) => line.trim())
  const end = /^When you are done: +(.*)$/m.exec(hints)?.[1] ?? ''
  const shell = spawn('sh', ['-s'], {
    cwd: folder,
    env: {
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      HOME: folder,
      GIT_DIR: '/nowhere',
      USER: 'mallory',
    },
  })
  shell.stdin.end(`${[...commands, end].join('\n')}\n`)
  let said = ''
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  await new Promise((resolve) => shell.once('close', resolve))
  return said
}
