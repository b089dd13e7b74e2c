/** The password in a remote's URL is nobody's business but git's: no command shows it, whatever happens. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { serveGit } from '../client/smart-http.ts'
import { POLICY } from '../make-repository.ts'
import { guarded, headgate } from './run-program.ts'

// Longer than what people are shown of a URL: what is cut must not show its beginning.
const PASSWORD = `hunter2${'-and-more'.repeat(60)}`

test('no output of any command has it, as text and as JSON, and when git fails', async () => {
  const repository = guarded()
  const [one, two] = [repository.release('one'), repository.release('two')]
  repository.server('config', 'http.receivepack', 'true')
  let isDown = false
  const url = await serveGit(repository, {
    before: (_, response) => {
      if (!isDown) return false
      response.statusCode = 503
      response.end()
      return true
    },
  })
  const remote = `${url.replace('//', `//deploy:${PASSWORD}@`)}/app.git`
  repository.git('remote', 'set-url', 'origin', remote)
  repository.git('remote', 'set-url', '--add', '--push', 'origin', join(repository.folder, 'nowhere.git'))
  repository.git('remote', 'set-url', '--add', '--push', 'origin', remote)
  mkdirSync(join(repository.clone, '.headgate'))
  writeFileSync(join(repository.clone, '.headgate', 'policy.yaml'), repository.policy)
  const reason = ['--reason', `see https://u:${PASSWORD}@host/`, '--key', repository.key('alice')]
  const calls = [
    ['status'],
    ['status', '--json'],
    ['check', two],
    ['check', two, '--json'],
    ['check', two, '--to', 'topic', '--json'],
    ['verify'],
    ['verify', '--format', 'json'],
    ['verify', '--format', 'html'],
    ['verify', '--format', 'sarif'],
    ['verify', '--format', 'junit'],
    ['log'],
    ['log', '--append'],
    ['evidence', 'list', one],
    ['evidence', 'list', 'HEAD', '--json'],
    ['evidence', 'add', '--commit', 'HEAD', '--failed', 'chat', '--key', repository.key('ci'), '--json'],
    ['evidence', 'add', '--commit', 'HEAD', '--failed', 'chat', '--key', repository.key('mallory')],
    ['freeze', '--for', '1h', ...reason],
    ['unfreeze', '--json', ...reason],
    ['approve', '--from', two, '--to', one, '--json', ...reason],
    ['approve', '--from', two, '--to', one, ...reason],
    ['drift', ...reason],
    ['deploy-check', two, '--environment', 'production', '--json'],
    ['promote', 'HEAD', '--yes', '--wait', '1ms'],
    ['rollback', '--trigger', 'alarm', '--symptoms', 'errors', '--yes', '--wait', '1ms'],
    ['policy', 'show'],
    ['doctor'],
    ['gate', '--record', '--key', repository.key('ci'), '--url', url],
    ['init', '--policy'],
  ]
  let outputs = 0
  for (isDown of [false, true]) {
    for (const call of calls) {
      for (const where of [[], ['--remote', remote]]) {
        // Where nobody answers, the remote's name is enough: half a minute less.
        if (where.length > 0 && (isDown || call[0] === 'doctor' || call[0] === 'init')) continue
        const ran = await headgate(repository, [...call, ...where])
        expect(ran.all, call.join(' ')).not.toContain('hunter2')
        expect(ran.all, call.join(' ')).not.toContain('a bug')
        if (ran.all !== '') outputs++
      }
    }
  }
  expect(outputs).toBeGreaterThan(70)
})

test('a policy is shown as it is', () => {
  const policy = POLICY.replaceAll('get: /health, expect', 'get: "/health?token=abc", expect')
  expect(policy).not.toBe(POLICY)
  const repository = guarded({ policy })
  expect(repository.headgate('policy', 'show').stdout).toContain('get: "/health?token=abc"')
  expect(JSON.parse(repository.headgate('policy', 'show', '--json').stdout).policy).toBe(policy)
})
