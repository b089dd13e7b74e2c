/** A thousand repositories behind the service, beside one: its first answer, what it holds, a decision, and its end. */
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { residentMegabytes } from './memory.ts'
import { printTable, Rounds } from './rounds.ts'
import { spawnService, stopService, Target } from './variants.ts'

const DECISIONS = 1_000
/** So many at once, as from as many pushers. */
const AT_ONCE = 4

export async function measureMany(count: number): Promise<void> {
  const target = await Target.make('embedded')
  const { repository } = target
  target.ready('proved')
  const unproved = repository.commit('unproved')
  repository.mustRun(repository.push('main'))
  // As after a while: what is packed is read by a process.
  repository.server('gc', '-q')
  const rows: (string | number)[][] = [
    [
      'repositories',
      'first answer s',
      'processes',
      'descriptors',
      'resident MB',
      'decision p50 ms',
      'p99 ms',
      'any p50',
      'any p99',
      'stop s',
      'stop at start s',
    ],
  ]
  const times = new Rounds()
  for (const repositories of [1, count]) {
    const folder = join(repository.folder, `many-${repositories}`)
    mkdirSync(folder)
    const paths = Array.from({ length: repositories }, (_, index) => {
      const path = join(folder, `${index}.git`)
      cpSync(repository.bare, path, { recursive: true, verbatimSymlinks: true })
      return path
    })
    const socket = join(repository.folder, `socket-${repositories}`)
    const decide = (path: string) =>
      ask(
        socket,
        `repository ${path}\nphase pre-receive\npusher alice\n\n${'0'.repeat(unproved.length)} ${unproved} refs/heads/release\n`,
      )
    const started = performance.now()
    const service = spawnService([folder, '--socket', socket])
    const first = await until(() => decide(paths[repositories - 1]!))
    if (!first.includes('headgate: push refused')) throw new Error(`no decision: ${first}`)
    const answeredMs = performance.now() - started

    // Everything is checked once, and asked once.
    await until(async () => {
      const { status } = JSON.parse(await ask(socket, null)) as { status: string }
      if (status !== 'ok') throw new Error(status)
    })
    for (const path of paths) await decide(path)
    const held = [processesOf(service.pid), descriptorsOf(service.pid), residentMegabytes(service.pid)]
    const one = `${repositories} one`
    const any = `${repositories} any`
    await timed(times, one, () => decide(paths[0]!))
    await timed(times, any, (index) => decide(paths[(index * 7919) % paths.length]!))
    const stopping = performance.now()
    await stopService(service)
    const stoppedMs = performance.now() - stopping
    const early = spawnService([folder, '--socket', socket])
    await until(() => decide(paths[0]!))
    const stoppingEarly = performance.now()
    await stopService(early)
    const stoppedEarlyMs = performance.now() - stoppingEarly
    rows.push([
      String(repositories),
      answeredMs / 1000,
      ...held.map((value) => String(Math.round(value))),
      ...[one, any].flatMap((name) => [times.quantile(name, 0.5), times.quantile(name, 0.99)]),
      stoppedMs / 1000,
      stoppedEarlyMs / 1000,
    ])
  }
  console.log(
    `the service with ${count} repositories: ${DECISIONS} decisions about one of them, and about any of them`,
  )
  printTable(rows)
  const ratio = (what: string, base: string, q: number) => times.quantile(what, q) / times.quantile(base, q)
  printTable([
    ['over one repository alone', 'p50', 'p99'],
    ...['one', 'any'].map((what) => [
      `about ${what} of ${count}`,
      ...[0.5, 0.99].map((q) => ratio(`${count} ${what}`, '1 one', q)),
    ]),
  ])
  await target.remove()
}

async function timed(
  times: Rounds,
  name: string,
  decide: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < DECISIONS; index = next++) {
      const start = performance.now()
      await decide(index)
      times.add(name, performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Again and again, until it does not fail. */
async function until<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 60_000; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      if (left === 0) throw error
      await new Promise((done) => setTimeout(done, 5))
    }
  }
}

function descriptorsOf(pid: number | undefined): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

function processesOf(pid: number | undefined): number {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').length
}

/** A hook's question, or how the service is. */
export function ask(socketPath: string, body: string | null): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        socketPath,
        path: body === null ? '/healthz' : '/hook',
        method: body === null ? 'GET' : 'POST',
        headers: { 'Content-Type': 'text/plain' },
      },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          text += part
        })
        answer.on('end', () => resolve(text))
        answer.on('error', reject)
      },
    )
    asking.on('error', reject)
    asking.end(body ?? undefined)
  })
}
