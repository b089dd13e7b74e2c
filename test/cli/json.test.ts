/** `--json`: one value on stdout and nothing else, with exactly the keys that docs/command-line.md names. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { POLICY } from '../make-repository.ts'
import { application, guarded, headgate, serve } from './run-program.ts'

const PAGE = readFileSync(resolve(import.meta.dirname, '..', '..', 'docs', 'command-line.md'), 'utf8')

/** By command; a row may name several. */
const documented = new Map<string, string[]>(
  [...PAGE.slice(PAGE.indexOf('## JSON')).matchAll(/^\| (`.+`) \| (`.+) \|$/gm)].flatMap(
    ([, commands = '', keys = '']) => {
      const names = (text: string) =>
        [...text.replace(/\(.*?\)/g, '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
      return names(commands).map((command): [string, string[]] => [command, names(keys)])
    },
  ),
)

test('every command that reports prints the keys of the documents, and all of them are tried', async () => {
  const repository = guarded({ install: false })
  const { bare, policyFolder } = repository
  const tried = new Set<string>()
  const ask = async (command: string, ...args: string[]): Promise<Record<string, unknown>> => {
    tried.add(command)
    const ran = await headgate(repository, [...command.split(' '), ...args, '--json'])
    expect([0, 77], `${command}\n${ran.all}`).toContain(ran.code)
    const value = JSON.parse(ran.stdout) as Record<string, unknown>
    expect(Object.keys(value).sort(), command).toEqual([...(documented.get(command) ?? [])].sort())
    return value
  }
  const ci = ['--key', repository.key('ci')]
  const alice = ['--key', repository.key('alice')]

  await ask('policy check', policyFolder)
  await ask('server install', bare, '--identity', 'env:TEST_PUSHER', '--policy', policyFolder)
  await ask('policy apply', bare, policyFolder)
  await ask('policy show')
  const file = join(repository.folder, 'new_key')
  expect(await ask('key generate', file, '--for', 'push', '--principal', 'eve')).toMatchObject({
    privateKey: file,
    namespaces: ['git'],
    line: expect.stringMatching(/^eve namespaces="git" ssh-ed25519 AAAA/),
  })
  expect(await ask('key line', `${file}.pub`, '--for', 'push', '--principal', 'eve')).toMatchObject({
    line: expect.stringMatching(/^eve namespaces="git" ssh-ed25519 AAAA/),
  })

  const one = repository.release('one')
  const two = repository.release('two')
  await ask('status', '--no-environments')
  await ask('check')
  await ask('doctor')
  await ask('deploy-check', one, '--environment', 'production')
  await ask('log')
  await ask('verify')
  const url = await serve(application(() => two, { '/api/chat': 500 }))
  expect(await ask('gate', '--record', '--url', url, ...ci)).toMatchObject({
    result: 'FAILED',
    recorded: true,
  })
  expect(await ask('evidence add', '--commit', two, '--passed', 'health', ...ci)).toMatchObject({
    recorded: 'evidence',
    unproved: ['chat'],
  })
  await ask('evidence invalidate', two, '--reason', 'wrong', ...ci)
  expect(await ask('evidence list', two)).toMatchObject({
    commit: two,
    evidence: [
      { result: 'PASSED', trusted: true },
      { result: 'FAILED', gates: { failed: ['chat'] } },
      { result: 'WARNED' },
      { result: 'invalidated', gates: null, reason: 'wrong' },
    ],
  })
  const move = ['--from', two, '--to', one, '--reason', 'broken', ...alice]
  expect(await ask('approve', ...move)).toMatchObject({ recorded: 'approval', from: two, to: one })
  expect(await ask('override', '--waive', 'known-good', ...move)).toMatchObject({ waives: ['known-good'] })
  expect(await ask('freeze', '--reason', 'sale', ...alice)).toMatchObject({ recorded: 'freeze', commit: two })
  expect(await ask('unfreeze', '--reason', 'over', ...alice)).toMatchObject({
    recorded: 'freeze',
    until: null,
  })
  expect(await ask('unfreeze', '--reason', 'over', ...alice)).toMatchObject({ recorded: null })
  expect(await ask('drift', '--reason', 'none', ...alice)).toMatchObject({ recorded: null, expected: two })
  writeFileSync(join(policyFolder, 'policy.yaml'), POLICY.replace('release: release', 'release: live'))
  await ask('policy apply', bare, policyFolder)
  expect(await ask('retire', 'release', '--reason', 'renamed', ...alice)).toMatchObject({ found: two })
  await ask('server uninstall', bare)

  expect([...tried].sort()).toEqual([...documented.keys()].sort())
}, 300_000)
