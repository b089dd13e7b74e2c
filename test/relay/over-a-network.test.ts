/** A host that is reached as hosts are: by HTTP with a token, which tells the relay from everybody else. */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openCache } from '../../src/relay/cache.ts'
import { Host } from '../../src/relay/host.ts'
import { relayOnce } from '../../src/relay/relay-once.ts'
import { serveGit } from '../client/smart-http.ts'
import { GIT } from '../open-repository.ts'
import { RelayedHost } from './relayed-host.ts'

const TOKEN = 'a-token-of-the-relay'

test('over HTTP a token lets the relay in, stands in no argument, and without it nothing moves', async () => {
  const host = new RelayedHost()
  const known = await host.begin()
  const { repository } = host
  const seen: string[] = []
  const base = await serveGit(repository, {
    before({ headers }) {
      const expected = `Basic ${Buffer.from(`x-access-token:${TOKEN}`).toString('base64')}`
      repository.env.TEST_PUSHER = headers.authorization === expected ? 'relay' : 'somebody'
      // While git asks, what every account of this machine can read of it.
      seen.push(spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout)
      return false
    },
  })
  repository.mustRun(repository.run('git', ['config', 'http.receivepack', 'true'], { cwd: repository.bare }))
  const commit = host.askFor('one')
  const relayWith = async (name: string, token: string | undefined) => {
    const folder = join(repository.folder, name)
    mkdirSync(folder)
    const cache = await openCache(folder, GIT, 'sha1')
    onTestFinished(() => cache.close())
    const access = { url: `${base}/app.git`, gitPath: GIT, environment: { ...repository.env }, token }
    return { ...known, cache, host: new Host(access, folder) }
  }
  await expect(relayOnce(await relayWith('stranger', undefined))).rejects.toMatchObject({
    code: 'refused',
    message: expect.stringContaining('GH013'),
  })
  expect(host.release).toBeNull()
  await relayOnce(await relayWith('relay', TOKEN))
  expect(host.release).toBe(commit)
  expect(host.inbox()).toEqual([])
  const shown = seen.join('\n')
  expect(shown).toContain('app.git')
  expect(shown).not.toContain(TOKEN)
  expect(shown).not.toContain(Buffer.from(`x-access-token:${TOKEN}`).toString('base64'))
})
