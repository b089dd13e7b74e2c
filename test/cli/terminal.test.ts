/** What an operator sees and types on a terminal. `script` gives a program one. */
import { spawn, spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { PROGRAM } from '../make-repository.ts'
import { Day } from './day.ts'

const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0
const short = (oid: string) => oid.slice(0, 7)

/** Runs headgate as alice on a terminal; each answer is typed when its question is there. What was on the screen. */
function onTerminal(
  day: Day,
  args: string,
  answers: readonly (readonly [question: string, typed: string])[],
): Promise<{ code: number | null; screen: string }> {
  const { repository } = day
  return new Promise((resolve, reject) => {
    const child = spawn('script', ['-qec', `'${process.execPath}' '${PROGRAM}' ${args}`, '/dev/null'], {
      cwd: day.clone('alice'),
      env: { ...repository.env, TERM: 'xterm', HEADGATE_KEY: repository.key('alice') },
    })
    const left = [...answers]
    let screen = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text
      const [next] = left
      if (next === undefined || !screen.includes(next[0].endsWith('?') ? `${next[0]} [y/N] ` : `${next[0]} `))
        return
      left.shift()
      child.stdin.write(next[1])
    })
    child.on('error', reject)
    child.on('close', (code) =>
      resolve({ code, screen: screen.replace(/\x1b\[[\d;]*[A-Za-z]/g, '').replaceAll('\r', '') }),
    )
  })
}

test.skipIf(!hasScript)(
  'a promotion is asked for, and the rollback after a failed smoke, with what it goes back to',
  async () => {
    const day = await Day.begin()
    const good = await day.proved('good')
    const question = `Move release to ${short(good)}?`
    // Enter, Ctrl-C and Ctrl-D are no.
    for (const typed of ['\r', '\x03', '\x04']) {
      const no = await onTerminal(day, 'promote', [[question, typed]])
      expect(no.screen).toMatch(
        /\? \[y\/N\] (?:\^C|\^D)?\nheadgate: not done: the answer was no\n {2}hint: nothing was changed\n$/,
      )
      expect(no.code).toBe(77)
    }
    expect(day.release()).toBeNull()
    expect((await onTerminal(day, 'promote', [[question, 'y\r']])).code).toBe(0)
    expect(day.release()).toBe(good)

    const bad = await day.proved('bad', { release: 'broken' })
    const ran = await onTerminal(day, 'promote', [
      [`Move release to ${short(bad)}?`, 'y\r'],
      [`Roll back to ${short(good)} now?`, 'yes\r'],
    ])
    expect(ran.code, ran.screen).toBe(77)
    // What is typed is shown once, also at the second question.
    expect(ran.screen).toContain(`Move release to ${short(bad)}? [y/N] y\nremote: `)
    expect(ran.screen).toContain(`Roll back to ${short(good)} now? [y/N] yes\nrelease on origin: back from `)
    expect(ran.screen).toContain('symptoms: chat: status 500, expected 200\n')
    expect(day.release()).toBe(good)
    for (const line of ran.screen.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  },
)

test.skipIf(!hasScript)(
  'a note that the policy wants is asked for, and shown before the last question',
  async () => {
    const day = await Day.begin({ notes: 'required' })
    const one = await day.proved('one')
    const ask = 'What goes out, and why? In a line:'
    for (const typed of ['\r', '  \r', '\x03', '\x04']) {
      const none = await onTerminal(day, 'promote', [[ask, typed]])
      expect(none.screen).toContain("hint: say it with --note 'TEXT'; nothing was pushed")
      expect(none.code).toBe(64)
    }
    // Whoever says yes beforehand is asked nothing.
    const silent = await onTerminal(day, 'promote --yes', [])
    expect([silent.code, silent.screen.includes(ask)]).toEqual([64, false])
    expect(day.release()).toBeNull()
    const question = `Move release to ${short(one)}?`
    const ran = await onTerminal(day, 'promote', [
      [ask, 'the weekly one\r'],
      [question, 'y\r'],
    ])
    expect(ran.code, ran.screen).toBe(0)
    expect(ran.screen).toMatch(/\nnote: the weekly one\n[\s\S]*\[y\/N\] y\n/)
    expect(day.log()).toContain('the weekly one')
  },
)
