/** What debugging tells: to whom, and what never. */
import { expect, onTestFinished, test } from 'vitest'
import { debug, debugGit, debugging, debugTo } from '../../src/git/debug.ts'

test('nothing is made where nobody listens', () => {
  debug(() => {
    throw new Error('it was made')
  })
  expect(debugGit(['status'])('exit 0')).toBeUndefined()
})

test('each work hears of itself alone, whatever others do at the same time', async () => {
  const heard: string[][] = [[], []]
  const work = (name: string) => async () => {
    debug(() => `${name} begins`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const told = debugGit(['fetch', name])
    await new Promise((resolve) => setTimeout(resolve, 20))
    debug(() => [`${name} ends`, `${name} has ended`])
    return told
  }
  const [one, two] = await Promise.all(
    ['one', 'two'].map((name, index) => debugging((line) => heard[index]?.push(line), work(name))),
  )
  // The end of a process is told to whom its beginning belongs.
  two?.('exit 1')
  one?.('exit 0')
  expect(heard.map((lines) => lines.map((line) => line.replace(/\d+ ms$/, 'N ms')))).toEqual(
    [
      ['one', 0],
      ['two', 1],
    ].map(([name, code]) => [
      `headgate: debug: ${name} begins`,
      `headgate: debug: ${name} ends`,
      `headgate: debug: ${name} has ended`,
      `headgate: debug: git fetch ${name}: exit ${code}, N ms`,
    ]),
  )
})

test('no setting, no password and no token is told, and each is one line', async () => {
  const heard: string[] = []
  await debugging(
    (line) => heard.push(line),
    async () => {
      debugGit([
        '--git-dir=/srv/git/app.git',
        '-c',
        'http.extraHeader=Authorization: Bearer s3cret-of-settings',
        'fetch',
        '--',
        'https://user:s3cret-of-user@host/app.git?access_token=s3cret-of-query',
        `https://${'long'.repeat(100)}:s3cret-${'long'.repeat(300)}@host/`,
        'a b\nc\u001b[2J',
      ])('exit 128')
      debug(() => 'https://s3cret-of-line@host/')
    },
  )
  expect(heard).toHaveLength(2)
  const [command = '', line] = heard
  expect(command).toMatch(
    /^headgate: debug: git --git-dir=\/srv\/git\/app\.git fetch -- 'https:\/\/host\/app\.git\?access_token=\*\*\*' https:\/\/host\/ 'a b\\x0ac\\x1b\[2J': exit 128, \d+ ms$/,
  )
  expect(line).toBe('headgate: debug: https://host/')
  expect(heard.join()).not.toContain('s3cret')
})

test('what a process tells in general is told where no work has a listener of its own', async () => {
  const [general, own]: [string[], string[]] = [[], []]
  debugTo((line) => general.push(line))
  onTestFinished(() => debugTo(undefined))
  debug(() => 'before')
  await debugging(
    (line) => own.push(line),
    async () => debug(() => 'work'),
  )
  expect(general).toEqual(['headgate: debug: before'])
  expect(own).toEqual(['headgate: debug: work'])
})
