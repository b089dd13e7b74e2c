/** `headgate serve` as hooks, admins and monitoring meet it: real processes, real sockets, real pushes. */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { pushAtOnce } from '../at-once.ts'
import { lastCommits, provedFirst } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { expectSoundLedger } from './attack.ts'
import { RunningService } from './running-service.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function guarded(options: ConstructorParameters<typeof TestRepository>[0] = {}): TestRepository {
  const repository = new TestRepository(options)
  cleanups.push(() => repository.remove())
  return repository
}

async function serve(repositories: readonly string[], ...args: string[]): Promise<RunningService> {
  const service = await RunningService.start(repositories, ...args)
  cleanups.push(() => {
    service.child.kill('SIGCONT')
    return service.stop('SIGKILL')
  })
  return service
}

const remote = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice(8).trimEnd())
    .join('\n')

/** Ids and record numbers differ between two repositories; everything else must not. */
const alike = (text: string) => text.replace(/\b[0-9a-f]{7,}\b/g, 'OID')

/** What was asked of the service, oldest first. What it logged before a push ended is in the pipe by then. */
async function asked(service: RunningService): Promise<string[]> {
  await new Promise((done) => setTimeout(done, 50))
  return service.log.filter(({ msg }) => msg === 'hook').map(({ phase, verdict }) => `${phase} ${verdict}`)
}

describe('the hook service', () => {
  test('gives the same verdicts and the same words as a hook alone', async () => {
    const served = guarded()
    const alone = guarded()
    const service = await serve([served.bare])
    const say = (repository: TestRepository): string[] => {
      const said: string[] = []
      const push = (refspec: string | string[], as = 'alice', args: string[] = []) => {
        const { code, stderr } = repository.push(refspec, { as, args })
        said.push(`${code} ${alike(remote(stderr))}`)
      }
      const first = repository.commit('first')
      push('main', 'dev')
      push(`${first}:refs/heads/release`)
      push([`${first}:refs/heads/release`, 'main:refs/heads/topic', 'main:refs/headgate/x'], 'mallory')
      repository.prove(first)
      push(`${first}:refs/heads/release`, 'mallory')
      push(`${first}:refs/heads/release`, 'alice', ['-o', 'note=a note with "quotes" and ümlauts'])
      push(`+${first}~1:refs/heads/main`, 'dev')
      push('main:refs/headgate/inbox/nonsense')
      push(':refs/heads/release', 'bob')
      return said
    }
    const [there, here] = [say(served), say(alone)]
    expect(there).toEqual(here)
    expect(there.filter((line) => line.startsWith('0 '))).toHaveLength(2)
    // All of it came from the service, but for main, in which there was nothing to judge.
    expect(await asked(service)).toEqual([
      'pre-receive refused',
      'pre-receive refused',
      'pre-receive accepted',
      'pre-receive refused',
      'pre-receive accepted',
      'post-receive accepted',
      'pre-receive refused',
      'pre-receive refused',
      'pre-receive refused',
    ])
    expect(served.ledgerSubjects().map(alike)).toEqual(alone.ledgerSubjects().map(alike))
    expect(served.ledgerSubjects().at(-1)).toMatch(/landed/)
  })

  test('asks nothing for unguarded refs and a main that goes on, and a promotion before and after', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    repository.mustRun(repository.push(['main:refs/heads/topic', 'main:refs/tags/v1']))
    repository.server('symbolic-ref', 'refs/heads/alias', 'refs/heads/topic')
    repository.commit('behind an alias that nobody guards')
    repository.mustRun(repository.push('main:refs/heads/alias'))
    repository.mustRun(repository.push('main:refs/heads/release', { env: { GIT_NAMESPACE: 'tenant' } }))
    expect(await asked(service)).toEqual([])
    repository.release('promoted')
    expect(await asked(service)).toEqual([
      'pre-receive accepted',
      'pre-receive accepted',
      'post-receive accepted',
    ])
  })

  test('is not asked where there is no perl, and nothing is lost', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    for (const name of ['pre-receive', 'reference-transaction', 'post-receive']) {
      const hook = join(repository.bare, 'hooks', name)
      writeFileSync(hook, readFileSync(hook, 'utf8').replace(/PERL='[^']*'/, "PERL=''"))
    }
    const commit = repository.release('promoted')
    const refused = repository.push(`+${commit}~1:refs/heads/release`)
    expect(remote(refused.stderr)).toContain('headgate: push refused')
    expect(await asked(service)).toEqual([])
  })

  test('also answers for sha256 repositories and for several at once', async () => {
    const [one, two] = [guarded(), guarded({ objectFormat: 'sha256' })]
    const service = await serve([one.bare, two.bare])
    one.release('one')
    two.release('two')
    await asked(service)
    const named = new Set(service.log.filter(({ msg }) => msg === 'hook').map(({ repository }) => repository))
    expect(named).toEqual(new Set([one.bare, two.bare]))
  })

  test('a service that hangs is left, the push is decided without it, and nothing is decided twice', async () => {
    const repository = guarded({ prepare: provedFirst })
    const service = await serve([repository.bare])
    // It knows the repository as it was.
    await service.logged('ready')
    const [commit = ''] = lastCommits(repository, 1)
    service.child.kill('SIGSTOP')
    const pushed = repository.mustRun(repository.push(`${commit}:refs/heads/release`))
    expect(pushed.all).toContain(`headgate: the service at ${service.socket} has said nothing for 10 s`)
    expect(pushed.all).not.toContain('Alarm clock')
    service.child.kill('SIGCONT')
    // It still judges what it was asked, of a branch that has moved since.
    await service.logged('hook', 2)
    const subjects = repository.ledgerSubjects()
    expect(subjects.filter((line) => line.includes('authorized'))).toHaveLength(1)
    expect(subjects.filter((line) => line.includes('landed'))).toHaveLength(1)
    repository.release('afterwards')
    expect((await asked(service)).slice(-3)).toEqual([
      'pre-receive accepted',
      'pre-receive accepted',
      'post-receive accepted',
    ])
  })

  test('a service that is only slow is waited for', async () => {
    const repository = guarded({ prepare: provedFirst })
    const service = await serve([repository.bare])
    // It knows the repository as it was.
    await service.logged('ready')
    const [commit = ''] = lastCommits(repository, 1)
    const before = (await asked(service)).length
    service.child.kill('SIGSTOP')
    const pushing = pushAtOnce(repository, `${commit}:refs/heads/release`, 'alice')
    // Longer than any alarm of two seconds.
    await new Promise((resolve) => setTimeout(resolve, 4_000))
    service.child.kill('SIGCONT')
    const { code, all } = await pushing
    expect(code, all).toBe(0)
    expect(all).not.toContain('has said nothing')
    // It was the one that decided.
    expect((await asked(service)).slice(before)).toContain('pre-receive accepted')
    expectSoundLedger(repository)
  })

  test('nothing is permitted to a hook that has left', async () => {
    const repository = guarded({ prepare: provedFirst })
    const service = await serve([repository.bare])
    const [commit = ''] = lastCommits(repository, 1)
    service.child.kill('SIGSTOP')
    const body = `repository ${repository.bare}\nphase pre-receive\npusher alice\n\n${'0'.repeat(40)} ${commit} refs/heads/release\n`
    const client = connect(service.socket)
    await new Promise<void>((done) => {
      client.end(`POST /hook HTTP/1.0\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`, done)
    })
    client.destroy()
    service.child.kill('SIGCONT')
    expect(await service.logged('no decision')).toMatchObject([
      { reason: 'the hook stopped waiting for this answer' },
    ])
    expect(repository.ledgerSubjects().some((line) => line.includes('authorized'))).toBe(false)
  })

  test('a service that was killed is not missed, and the next one takes its socket over', async () => {
    const repository = guarded()
    const killed = await serve([repository.bare])
    await killed.stop('SIGKILL')
    expect(existsSync(killed.socket)).toBe(true)
    repository.release('without it')
    const next = await serve([repository.bare])
    repository.release('with the next')
    expect(await asked(next)).toHaveLength(3)
  })

  test('where neither it nor a process of the hook can decide, guarded refs are refused and others pass', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    for (const name of ['pre-receive', 'reference-transaction', 'post-receive']) {
      const hook = join(repository.bare, 'hooks', name)
      writeFileSync(hook, readFileSync(hook, 'utf8').replace(/APP='[^']*'/, "APP='/nonexistent.js'"))
    }
    await service.stop('SIGKILL')
    repository.commit('undecided', { 'docs/RELEASE_LOG.md': 'a line\n' })
    const refused = repository.push('main')
    expect(refused.code).not.toBe(0)
    expect(remote(refused.stderr)).toContain(
      'headgate: guarded refs are refused while no decision can be made; push other branches by themselves.\nheadgate: verdict 1 undecided',
    )
    repository.mustRun(repository.push('main:refs/heads/topic'))
  })
})

describe('its socket', () => {
  test('is for the account and its group, and goes when it stops', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    const told = join(repository.bare, 'headgate', 'service')
    expect(statSync(service.socket).mode & 0o777).toBe(0o660)
    expect(readFileSync(told, 'utf8')).toBe(`${service.socket}\n${repository.bare}\n`)
    expect(await service.stop()).toBe(0)
    expect(existsSync(service.socket)).toBe(false)
    expect(existsSync(told)).toBe(false)
    expect(service.log.at(-1)?.msg).toBe('stopped')
  })

  test('can be elsewhere', async () => {
    const repository = guarded()
    const socket = join(repository.folder, 'other socket')
    const service = await serve([repository.bare], '--socket', socket)
    repository.release('through it')
    expect(await asked(service)).toHaveLength(3)
  })

  test('is not taken from a service that lives, nor is a file that is no socket removed', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    const second = await RunningService.refused([repository.bare])
    expect(second.code).toBe(78)
    expect(second.text).toBe(
      `headgate: another service listens on ${service.socket} already\n  hint: stop it first, or name another socket: --socket PATH\n`,
    )
    repository.release('still served')
    expect(await asked(service)).toHaveLength(3)

    const file = join(repository.folder, 'precious')
    writeFileSync(file, 'data')
    const third = await RunningService.refused([repository.bare], '--socket', file)
    expect(third.code).toBe(78)
    expect(third.text).toContain(`${file} is there already and is no socket`)
    expect(readFileSync(file, 'utf8')).toBe('data')
  })

  test.each([
    ['too long', (folder: string) => join(folder, 'x'.repeat(120)), 'is too long for a socket'],
    ['in no folder', (folder: string) => join(folder, 'nowhere', 'socket'), 'must exist and be writable'],
  ])('that is %s is refused with the reason', async (_, path, reason) => {
    const repository = guarded()
    const { code, text } = await RunningService.refused(
      [repository.bare],
      '--socket',
      path(repository.folder),
    )
    expect(code).toBe(78)
    expect(text).toContain(reason)
  })
})

describe('its limits', () => {
  test("a request that is no hook's is answered and changes nothing", async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    const zero = '0'.repeat(40)
    const before = repository.ledgerSubjects()
    for (const [body, reason] of [
      ['', 'a request that breaks off'],
      ['phase pre-receive\n\n', 'without its phase or its repository'],
      [`repository ${repository.bare}\nphase nonsense\n\n`, 'without its phase or its repository'],
      [`repository ${repository.bare}\nphase prepared\nphase committed\n\n`, 'a line that is not known'],
      [`repository ${repository.bare}\nphase prepared\nrm -rf\n\n`, 'a line that is not known: rm -rf'],
      [`repository ${repository.bare}\nphase prepared\n\n${zero} main\n`, 'a malformed line'],
      [`repository /etc\nphase prepared\n\n`, '/etc is not served here'],
      [`repository ${repository.bare}/.\nphase prepared\n\n`, 'is not served here'],
    ] as const) {
      const { status, text } = await service.ask('/hook', body)
      expect(`${status} ${text}`).toMatch(/^200 failed\nheadgate: no decision can be made: /)
      expect(text).toContain(reason)
    }
    expect((await service.ask('/hook', Buffer.alloc(1024 * 1024 + 1, 'a'))).status).toBe(413)
    expect((await service.ask('/hook', null)).status).toBe(404)
    expect((await service.ask('/', null)).status).toBe(404)
    expect(repository.ledgerSubjects()).toEqual(before)
    repository.release('still serving')
  })

  test('a push with more than fits into a request decides by itself', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    const oid = repository.git('rev-parse', 'main')
    const name = (index: number) => `refs/headgate/inbox/${String(index).padStart(200, 'x')}`
    const lines = Array.from({ length: 6000 }, (_, index) => `create ${name(index)} ${oid}\n`)
    repository.run('git', ['update-ref', '--stdin'], { cwd: repository.clone, input: lines.join('') })
    const refused = repository.push('refs/headgate/inbox/*')
    expect(refused.code).not.toBe(0)
    expect(remote(refused.stderr)).toContain('500 is the limit')
    expect(await asked(service)).toEqual([])
  })

  test('a request that never ends is cut off, and others are answered meanwhile', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    const slow = connect(service.socket)
    const ended = new Promise<void>((resolve) => slow.once('close', () => resolve()))
    slow.on('error', () => undefined)
    slow.resume()
    slow.write('POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nrepos')
    repository.release('meanwhile')
    expect(await asked(service)).toHaveLength(3)
    await ended
  })
})

describe('its start, reload and health', () => {
  test('says that it is well, and what is wrong where a branch drifted', async () => {
    const repository = guarded()
    const commit = repository.release('released')
    const service = await serve([repository.bare])
    const well = await service.ask('/healthz', null)
    expect(well.status).toBe(200)
    expect(JSON.parse(well.text)).toMatchObject({
      status: 'ok',
      repositories: [{ path: repository.bare, records: 4, problem: null }],
    })

    // Behind the guard's back, as a restored backup would.
    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', `${commit}~1`)
    const ill = await service.ask('/healthz', null)
    expect(ill.status).toBe(503)
    expect(JSON.parse(ill.text).repositories[0].problem).toContain('but the ledger has it at')
    service.child.kill('SIGHUP')
    const [drift] = await service.logged('drift')
    expect(drift).toMatchObject({ level: 50, repository: repository.bare })

    const refused = repository.push(`${commit}:refs/heads/release`)
    expect(remote(refused.stderr)).toContain('[drift]')
  })

  test('settles in the background what a crash left open', async () => {
    const repository = guarded({ prepare: provedFirst })
    const [landed = ''] = lastCommits(repository, 1)
    // Everything dies right after the decision: nobody follows the move, and git never hears of it.
    const hook = join(repository.bare, 'hooks', 'pre-receive')
    const aside = (name: string) =>
      renameSync(join(repository.bare, name), join(repository.bare, `${name}.aside`))
    const text = readFileSync(hook, 'utf8')
    writeFileSync(hook, text.replace('accepted) exit 0', 'accepted) kill -9 $PPID; exit 1'))
    expect(repository.push(`${landed}:refs/heads/release`).code).not.toBe(0)
    writeFileSync(hook, text)
    expect(repository.ledgerSubjects().at(-1)).toContain('authorized')
    // The move itself is made after all, with the hook that would record it out of the way.
    aside('hooks/reference-transaction')
    repository.server('update-ref', 'refs/heads/release', landed)
    renameSync(
      join(repository.bare, 'hooks/reference-transaction.aside'),
      join(repository.bare, 'hooks/reference-transaction'),
    )
    const service = await serve([repository.bare])
    await service.logged('ready')
    expect(repository.ledgerSubjects().at(-1)).toContain('landed')
    expect(service.log.some(({ msg }) => msg === 'drift')).toBe(false)
  })

  test('serves what it can, and says what it cannot', async () => {
    const repository = guarded()
    const missing = join(repository.folder, 'missing.git')
    const bare = guarded({ install: false }).bare
    const service = await serve([missing, bare, repository.bare], '--socket', join(repository.folder, 's'))
    expect(service.log.filter(({ msg }) => msg === 'not served').map(({ repository }) => repository)).toEqual(
      [missing, bare],
    )
    expect((await service.ask('/healthz', null)).status).toBe(503)
    repository.release('served')

    const none = await RunningService.refused([bare])
    expect(none.code).toBe(78)
    expect(none.text).toContain(`headgate is not installed in ${bare}`)
  })

  test('notices a new installation without being told', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    repository.release('before')
    rmSync(join(repository.bare, 'headgate', 'seal-key.pem'))
    repository.install()
    const commit = repository.release('after')
    expect(repository.ref('refs/heads/release')).toBe(commit)
    expect(await asked(service)).toHaveLength(6)
  })

  test('finishes what it was asked before it stops', async () => {
    const repository = guarded({ prepare: provedFirst })
    const [commit = ''] = lastCommits(repository, 1)
    const service = await serve([repository.bare])
    // The kept hook runs after nothing else, and git moves the ref only when this one is done.
    writeFileSync(
      join(repository.bare, 'hooks', 'update'),
      `#!/bin/sh\nkill -TERM ${service.child.pid}\nsleep 1\n`,
      { mode: 0o755 },
    )
    repository.mustRun(repository.push(`${commit}:refs/heads/release`))
    expect(await service.exited()).toBe(0)
    expect(repository.ledgerSubjects().at(-1)).toContain('landed')
  })

  test('a service that another one replaced does not tell the hooks that it is gone', async () => {
    const repository = guarded()
    const first = await serve([repository.bare])
    const second = await serve([repository.bare], '--socket', join(repository.folder, 'second'))
    expect(await first.stop()).toBe(0)
    repository.release('through the second')
    expect(await asked(second)).toHaveLength(3)
  })

  test('a copy of a served repository asks nobody about the original', async () => {
    const repository = guarded({ prepare: provedFirst })
    const [commit = ''] = lastCommits(repository, 1)
    const service = await serve([repository.bare])
    const copy = join(repository.folder, 'copy.git')
    repository.mustRun(repository.run('cp', ['-a', repository.bare, copy]))
    repository.mustRun(
      repository.run('git', ['remote', 'set-url', 'origin', copy], { cwd: repository.clone }),
    )
    const before = repository.ledgerSubjects()
    repository.mustRun(repository.push(`${commit}:refs/heads/release`))
    expect(await asked(service)).toEqual([])
    expect(repository.ledgerSubjects()).toEqual(before)
    expect(
      repository.run('git', ['log', '-1', '--format=%s', 'refs/headgate/ledger'], { cwd: copy }).stdout,
    ).toContain('landed')
  })

  test('a socket where somebody else answers nonsense is left for the embedded decision', async () => {
    const repository = guarded()
    const service = await serve([repository.bare])
    await service.stop()
    const socket = join(repository.folder, 'nonsense')
    const server = createServer((client) => {
      client.on('error', () => undefined)
      client.end('HTTP/1.1 200 OK\r\n\r\nwhatever\n')
    }).listen(socket)
    cleanups.push(() => server.close())
    writeFileSync(join(repository.bare, 'headgate', 'service'), `${socket}\n${repository.bare}\n`)
    repository.mustRun(repository.push('main:refs/heads/topic'))
    const commit = repository.commit('refused as ever')
    repository.mustRun(repository.push('main'))
    expect(remote(repository.push(`${commit}:refs/heads/release`).stderr)).toContain('[evidence]')
  })
})
