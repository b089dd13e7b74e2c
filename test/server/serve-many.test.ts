/** `headgate serve` with many repositories: what it opens, takes and gives up, and that one of them never stops the others. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestRepository } from '../make-repository.ts'
import { RunningService } from './running-service.ts'

const ZERO = '0'.repeat(40)

let repository: TestRepository
/** The folder that is served, beside the repository that all others are copies of. */
let top: string
let socket: string
const cleanups: (() => unknown)[] = []

beforeEach(() => {
  repository = new TestRepository({ prepare: withUnproved })
  // Packed, so that reading takes a process.
  repository.server('gc', '-q')
  top = join(repository.folder, 'srv')
  mkdirSync(top)
  socket = join(repository.folder, 'socket')
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  repository.remove()
})

function withUnproved(made: TestRepository): void {
  made.commit('unproved')
  made.mustRun(made.push('main'))
}

function copy(name: string): string {
  const path = join(top, name)
  cpSync(repository.bare, path, { recursive: true, verbatimSymlinks: true })
  return path
}

function track(service: RunningService): RunningService {
  cleanups.push(() => {
    service.child.kill('SIGCONT')
    return service.stop('SIGKILL')
  })
  return service
}

async function serve(...args: string[]): Promise<RunningService> {
  const service = track(RunningService.spawn(args.length === 0 ? [top] : [], ...args, '--socket', socket))
  await service.logged('serving')
  return service
}

/** A promotion without evidence, which is refused by whoever can read the repository. */
async function ask(service: RunningService, path: string): Promise<string> {
  const commit = repository.git('rev-parse', 'main')
  const body = `repository ${path}\nphase pre-receive\npusher alice\n\n${ZERO} ${commit} refs/heads/release\n`
  // Dots, while it takes time.
  return (await service.ask('/hook', body)).text.replace(/^\.*/, '')
}

const REFUSED = /^refused\nheadgate: push refused/
const told = (path: string): string | null => {
  const file = join(path, 'headgate', 'service')
  return existsSync(file) ? readFileSync(file, 'utf8') : null
}

async function reload(service: RunningService): Promise<void> {
  const before = service.log.filter(({ msg }) => msg === 'reloaded').length
  service.child.kill('SIGHUP')
  await service.logged('reloaded', before + 1)
}

/** A git that says nothing, as on a disk that hangs, and is nothing but itself when it is killed. */
function hang(path: string): string {
  const git = join(repository.folder, 'hanging-git')
  writeFileSync(git, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 })
  const settings = join(path, 'headgate', 'server.json')
  const text = readFileSync(settings, 'utf8')
  writeFileSync(settings, JSON.stringify({ ...JSON.parse(text), git }))
  return git
}

describe('many repositories', () => {
  test('are opened when they are asked for, and most of them closed again', async () => {
    const paths = Array.from({ length: 30 }, (_, index) => copy(`${index}.git`))
    const service = await serve()
    expect(paths.map(told)).toEqual(paths.map((path) => `${socket}\n${path}\n`))
    await service.logged('ready', paths.length)
    expect(service.children().length).toBeLessThanOrEqual(20)
    const answers = await Promise.all(paths.map((path) => ask(service, path)))
    for (const answer of answers) expect(answer).toMatch(REFUSED)
    expect(service.children().length).toBeLessThanOrEqual(20)
    const well = await service.ask('/healthz', null)
    expect(JSON.parse(well.text)).toMatchObject({ status: 'ok', repositories: { length: 30 } })
  })

  test('are taken when they get headgate and given up when they lose it', async () => {
    const [a, b] = [copy('a.git'), copy('b.git')]
    const service = await serve()
    // One comes, one loses its guard, and one gets another name.
    copy('late.git')
    repository.mustRun(repository.headgate('server', 'uninstall', a))
    renameSync(b, join(top, 'c.git'))
    await reload(service)
    expect(told(a)).toBe(null)
    expect(told(join(top, 'c.git'))).toBe(`${socket}\n${join(top, 'c.git')}\n`)
    expect(told(join(top, 'late.git'))).toBe(`${socket}\n${join(top, 'late.git')}\n`)
    expect(await ask(service, join(top, 'c.git'))).toMatch(REFUSED)
    for (const path of [a, b]) expect(await ask(service, path)).toContain(`${path} is not served here`)
    const given = service.log.filter(({ msg }) => msg === 'given up').map(({ repository }) => repository)
    expect(given).toEqual([a, b])
    expect(JSON.parse((await service.ask('/healthz', null)).text).repositories).toHaveLength(2)
  })

  test('are those of a list, which is read again; one that cannot be read changes nothing', async () => {
    const [a, b] = [copy('a.git'), copy('b.git')]
    const list = join(repository.folder, 'list')
    writeFileSync(list, `${a}\n${b}\n`)
    const service = await serve('--list', list)
    rmSync(list)
    service.child.kill('SIGHUP')
    const [failed] = await service.logged('not looked up')
    expect(failed?.reason).toBe(`the list ${list} cannot be read: there is no such file`)
    expect(await ask(service, b)).toMatch(REFUSED)
    writeFileSync(list, `${a}\n`)
    await reload(service)
    expect([told(a), told(b)]).toEqual([`${socket}\n${a}\n`, null])
    expect(await ask(service, b)).toContain('is not served here')
  })

  test('are served on when the one with the socket loses its guard', async () => {
    const [a, b] = [copy('a.git'), copy('b.git')]
    const service = track(await RunningService.start([a, b]))
    repository.mustRun(repository.headgate('server', 'uninstall', a))
    await reload(service)
    const other = join(b, 'headgate', 'socket')
    expect(told(b)).toBe(`${other}\n${b}\n`)
    expect(existsSync(other)).toBe(true)
    service.child.kill('SIGTERM')
    expect(await service.exited()).toBe(0)
    expect([told(b), existsSync(other)]).toEqual([null, false])
  })

  test('need a name for the socket where they are not named one by one', async () => {
    copy('a.git')
    const { code, text } = await RunningService.refused([top])
    expect(code).toBe(64)
    expect(text).toBe(
      'headgate: a folder of repositories, or a list, has no place for the socket\n  hint: name one: --socket /run/headgate/socket\n',
    )
    const none = await RunningService.refused([], '--socket', socket)
    expect([none.code, none.text.split('\n')[0]]).toEqual([64, 'headgate: no repository is named'])
  })
})

describe('one of many', () => {
  test('that is broken, closed or gone is told of, and the others are served', async () => {
    const [good, broken, closed, gone] = ['good', 'broken', 'closed', 'gone'].map((name) =>
      copy(`${name}.git`),
    ) as [string, string, string, string]
    writeFileSync(join(broken, 'headgate', 'server.json'), 'nonsense')
    const service = await serve()
    await service.logged('ready', 3)
    rmSync(gone, { recursive: true })
    chmodSync(closed, 0)
    cleanups.push(() => chmodSync(closed, 0o755))
    expect(await ask(service, broken)).toContain('failed\nheadgate: no decision can be made: ')
    expect(await ask(service, gone)).toContain('failed\nheadgate: no decision can be made: ')
    expect(await ask(service, good)).toMatch(REFUSED)
    await reload(service)
    const health = await service.ask('/healthz', null)
    expect(health.status).toBe(503)
    const found = JSON.parse(health.text)
    const problems = Object.fromEntries(
      found.repositories.map((one: { path: string; problem: string | null }) => [one.path, one.problem]),
    )
    expect(found.status).toBe('degraded')
    expect(problems[broken]).toContain('server.json is not JSON')
    expect(problems[good]).toBe(null)
    expect(problems[gone]).toBe(undefined)
    // Root is let in everywhere.
    if (process.getuid?.() !== 0) expect(problems[closed]).toContain('EACCES')
    expect(await ask(service, good)).toMatch(REFUSED)
  })

  test('that hangs does not keep the others waiting, nor the service from stopping', async () => {
    const hanging = copy('hanging.git')
    const good = copy('good.git')
    hang(hanging)
    const service = await serve()
    const stuck = Array.from({ length: 12 }, () =>
      ask(service, hanging).catch((error: Error) => error.message),
    )
    for (let i = 0; i < 5; i++) expect(await ask(service, good)).toMatch(REFUSED)
    expect(service.children().length).toBeLessThan(64)
    expect(await service.stop()).toBe(0)
    // No yes and no no: each of their hooks decides by itself.
    for (const answer of await Promise.all(stuck)) expect(answer).not.toMatch(/^(?:accepted|refused)/)
    expect([told(good), told(hanging)]).toEqual([null, null])
  })

  test('that was replaced by another one is judged by the ledger of that', async () => {
    const [path, other] = [copy('app.git'), join(repository.folder, 'other.git')]
    const service = await serve()
    expect(await ask(service, path)).toContain('[evidence]')
    cpSync(repository.bare, other, { recursive: true, verbatimSymlinks: true })
    const noHooks = ['-c', 'core.hooksPath=/dev/null']
    repository.mustRun(
      repository.run('git', [...noHooks, 'update-ref', '-d', 'refs/headgate/ledger'], { cwd: other }),
    )
    renameSync(path, `${path}.old`)
    renameSync(other, path)
    expect(await ask(service, path)).toContain('the ledger with their policy is gone')
  })
})

describe('its end', () => {
  test('comes at once while it starts, and leaves nothing behind', async () => {
    const paths = Array.from({ length: 30 }, (_, index) => copy(`${index}.git`))
    const git = hang(paths[0]!)
    for (const path of paths.slice(1)) {
      const settings = join(path, 'headgate', 'server.json')
      writeFileSync(settings, JSON.stringify({ ...JSON.parse(readFileSync(settings, 'utf8')), git }))
    }
    const service = track(RunningService.spawn([top], '--socket', socket))
    // Checks are under way, and none of them will ever end.
    await service.logged('serving')
    expect(await service.stop()).toBe(0)
    expect(service.log.at(-1)?.msg).toBe('stopped')
    expect(paths.map(told)).toEqual(paths.map(() => null))
    expect(existsSync(socket)).toBe(false)
  })

  test('records nothing for those who had no answer', async () => {
    const path = copy('app.git')
    const service = await serve()
    await service.logged('ready')
    const inBare = (...args: string[]) =>
      repository.mustRun(repository.run('git', args, { cwd: path })).stdout.trim()
    const before = inBare('rev-parse', 'refs/headgate/ledger')
    const commit = repository.git('rev-parse', 'main')
    const evidence = repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')
    const blob = repository
      .mustRun(repository.run('git', ['hash-object', '-w', '--stdin'], { cwd: path, input: evidence }))
      .stdout.trim()
    const [, name] = repository.inboxRefspec(evidence).split(':')

    // Whoever appends waits for this lock.
    const key = join(path, 'headgate', 'seal-key.pem')
    const holder = spawn('flock', [key, 'sh', '-c', 'echo held; exec sleep 600'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    cleanups.push(() => holder.kill('SIGKILL'))
    await once(holder.stdout, 'data')
    const asking = service
      .ask('/hook', `repository ${path}\nphase pre-receive\npusher ci\n\n${ZERO} ${blob} ${name}\n`)
      .then(
        ({ text }) => text,
        (error: Error) => error.message,
      )
    await service.started('flock')
    expect(await service.stop()).toBe(0)
    expect(await asking).not.toMatch(/accepted|refused/)
    expect(inBare('rev-parse', 'refs/headgate/ledger')).toBe(before)
  })
})
