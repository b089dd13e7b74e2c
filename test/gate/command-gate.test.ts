import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { RunGatesOptions } from '../../src/gate/run-gates.ts'
import { COMMIT, honest, run, serve } from './environment.ts'

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'headgate-command-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

const server = () => serve(honest((_, response) => response.end()))

async function command(text: string, more: string = '', options: Partial<RunGatesOptions> = {}) {
  const lines: string[] = []
  const result = await run(await server(), [`{ name: drills, run: ${JSON.stringify(text)}${more} }`], {
    onOutput: (name, line) => lines.push(`${name}: ${line}`),
    ...options,
  })
  return { result, lines, gate: result.gates[0] }
}

/** Whether a process lives. One that nobody has waited for is dead, although it has a number. */
function lives(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
  return state !== '' && !state.startsWith('Z')
}

test('exit code 0 passes; the output is shown and in no result', async () => {
  const { result, lines, gate } = await command('echo to hunter2; echo and >&2')
  expect(gate).toMatchObject({ outcome: 'passed', status: null, statuses: null, attempts: 1, reason: null })
  expect(lines.sort()).toEqual(['drills: and', 'drills: to hunter2'])
  expect(JSON.stringify(result)).not.toContain('hunter2')
})

test.each([
  ['another exit code', 'exit 3', 'exit code 3'],
  // Some test runners mean "skipped" by it. Skipped is not passed.
  ['77', 'exit 77', 'exit code 77'],
  ['no such program', 'no-such-program', 'exit code 127: command not found'],
  ['no right to run it', './plain.txt', 'exit code 126: not executable (chmod +x)'],
  ['a signal', 'kill -9 $$', 'was ended by SIGKILL'],
])('%s fails, and says so', async (_, text, reason) => {
  const place = folder()
  writeFileSync(join(place, 'plain.txt'), 'echo\n')
  const { gate, result } = await command(text, '', { folder: place })
  expect([gate?.outcome, gate?.reason, result.result]).toEqual(['failed', reason, 'FAILED'])
})

test('a list is a program and its arguments, without a shell', async () => {
  const lines: string[] = []
  const gate = '{ name: drills, run: [echo, "$HOME; exit 1"] }'
  const { result } = await run(await server(), [gate], { onOutput: (_, line) => lines.push(line) })
  expect([result, lines]).toEqual(['PASSED', ['$HOME; exit 1']])
  const missing = await run(await server(), ['{ name: drills, run: [no-such-program] }'])
  expect(missing.gates[0]?.reason).toBe('cannot be started: there is no such program')
})

test("the gate's facts are in its environment, and where it runs is the folder; the key is not", async () => {
  const place = folder()
  const url = await server()
  const lines: string[] = []
  const gate =
    '{ name: drills, run: "pwd; echo $MODE $BASE $HEADGATE_GATE $HEADGATE_ENVIRONMENT $HEADGATE_COMMIT $HEADGATE_BASE_URL key=$HEADGATE_KEY own=$OWN" }'
  await run(url, [gate], {
    folder: place,
    variables: { ...process.env, HEADGATE_KEY: '/keys/ci', OWN: 'mine' },
    onOutput: (_, line) => lines.push(line),
  })
  expect(lines).toEqual([place, `staging ${url} drills staging ${COMMIT} ${url} key= own=mine`])
})

test('a secret that the policy names is struck out of its output, however it is spelt', async () => {
  const TOKEN = 'hunter2+/token'
  const LOGIN = '{\n  "user": "somebody",\n  "password": "hunter2-in-a-line"\n}'
  const LONG = `hunter2${'x'.repeat(3000)}`
  const gates = [
    '{ name: a, get: /a, headers: { authorization: { env: TOKEN }, x: { env: LONG } }, expect: { status: 200 } }',
    '{ name: b, post: /b, body: { env: LOGIN }, expect: { status: 200 } }',
    '{ name: c, run: "sh print.sh" }',
  ]
  const place = folder()
  writeFileSync(
    join(place, 'print.sh'),
    [
      'echo "the token is $TOKEN."',
      'echo "$LOGIN"',
      'echo it is hunter2-in-a-line',
      'printf %s "$TOKEN" | base64',
      `printf '%s %s\\n' '${encodeURIComponent(TOKEN)}' '${JSON.stringify(LOGIN)}'`,
      // The line is cut where it is shown, and where it comes in two pieces.
      `printf '%990s%.1500s' x "$LONG" | tr ' ' y; sleep 0.2; printf %s "$LONG" | cut -c1501-`,
    ].join('\n'),
  )
  const lines: string[] = []
  await run(await server(), gates, {
    folder: place,
    variables: { ...process.env, TOKEN, LOGIN, LONG },
    onOutput: (_, line) => lines.push(line),
  })
  expect(lines.slice(0, 8)).toEqual([
    'the token is ***.',
    '{',
    '  ***',
    '  ***',
    '}',
    'it is ***',
    expect.stringMatching(/^\*\*\*=*$/),
    '*** "***"',
  ])
  expect(lines[8]).toMatch(/^y{989}x\*\*\*$/)
  expect(lines).toHaveLength(9)
})

test('a timeout ends it with everything that it has started, also what ignores the signal', async () => {
  const place = folder()
  const { gate, lines } = await command(
    "trap '' TERM; sh -c \"trap '' TERM; sleep 60\" & echo $!; wait; sleep 60",
    ', timeout: 300ms',
    { folder: place },
  )
  expect([gate?.outcome, gate?.reason]).toEqual(['failed', 'did not end within 300 ms'])
  const pid = Number(lines[0]?.replace('drills: ', ''))
  await wait(200)
  expect(lives(pid)).toBe(false)
})

test('what it leaves behind does not keep the gate waiting', async () => {
  // Longer than any test may take.
  const { gate } = await command('sleep 600 & exit 0')
  expect(gate?.outcome).toBe('passed')
})

test('Ctrl-C ends it', async () => {
  const stop = new AbortController()
  const lines: string[] = []
  const promise = run(await server(), ['{ name: drills, run: "echo $$; sleep 60" }'], {
    signal: stop.signal,
    onOutput: (_, line) => {
      lines.push(line)
      stop.abort()
    },
  })
  await expect(promise).rejects.toThrow('interrupted before the gates of staging ended; nothing is recorded')
  await wait(100)
  expect(lives(Number(lines[0]))).toBe(false)
})

test('endless output is cut, line by line and in all', async () => {
  const { gate, lines } = await command("yes | head -n 100000; printf '%5000s' x | tr ' ' y")
  expect(gate?.outcome).toBe('passed')
  expect(lines).toHaveLength(2001)
  expect(lines.at(-1)).toBe('drills: (only the first 2000 lines are shown)')
  const long = await command("printf '%500000s' x | tr ' ' y; echo; echo next")
  expect(long.lines.map((line) => line.length)).toEqual([1008, 12])
})
