import { expect, test } from 'vitest'
import { jsonWithoutSecrets, withoutSecrets } from '../../src/core/without-secrets.ts'

test.for([
  ['https://user:hunter2@host/app.git', 'https://host/app.git'],
  ['https://ghp_hunter2@host/app.git', 'https://host/app.git'],
  ['HTTPS://user:hunter2@host', 'HTTPS://host'],
  ['https://user:hunter2@@host/a@b', 'https://host/a@b'],
  ['https://user:hun%40ter2@[::1]:8443/app.git', 'https://[::1]:8443/app.git'],
  ['https://user:hun/ter2@host/app.git', 'https://host/app.git'],
  ['https://user:hun?ter2@host/app.git', 'https://host/app.git'],
  [
    "fatal: unable to access 'https://user:hunter2@host/app.git/': timeout",
    "fatal: unable to access 'https://host/app.git/': timeout",
  ],
  ['ssh://git:hunter2@host/app.git', 'ssh://git@host/app.git'],
  ['ssh://git@host/app.git', 'ssh://git@host/app.git'],
  ['git+ssh://git:hunter2@host/app.git', 'git+ssh://git@host/app.git'],
  ['ext::https://user:hunter2@host/x', 'ext::https://host/x'],
  ['https://host/x?private_token=hunter2&page=1', 'https://host/x?private_token=***&page=1'],
  ['https://host/x?page=1&ACCESS_TOKEN=hunter2', 'https://host/x?page=1&ACCESS_TOKEN=***'],
  ['https://host/x#auth=hunter2', 'https://host/x#auth=***'],
  ['two: https://a:hunter2@h/1 and https://b:hunter2@h/2', 'two: https://h/1 and https://h/2'],
] as const)('%s', ([text, shown]) => {
  expect(withoutSecrets(text)).toBe(shown)
})

test.for([
  'git@host:team/app.git',
  'https://host:8443/app.git, by a@b.example',
  "'https://host:8443': by a@b.example",
  'https://host/@scope/app',
  'https://host/x?author=ann&design=1&job=12',
  '/srv/git/app.git',
  'C:\\git\\app.git',
  'http://127.0.0.1:4711/app.git',
])('%s has none', (text) => {
  expect(withoutSecrets(text)).toBe(text)
})

test('JSON loses them text by text, and nothing else', () => {
  const value = { remote: 'https://u:p@host', list: ['https://host', 'a@b'], count: 3 }
  expect(JSON.parse(jsonWithoutSecrets(value))).toEqual({ ...value, remote: 'https://host' })
})

test('hostile text costs no more than reading it', () => {
  const start = performance.now()
  for (const piece of ['a.', 'a://', 'a://b:c', '?token', '&secret-', 'x://@'])
    withoutSecrets(piece.repeat(100_000))
  // Quadratic, each would take minutes.
  expect(performance.now() - start).toBeLessThan(20_000)
})
