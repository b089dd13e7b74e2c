/** The service's memory over many decisions about many repositories. */
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask } from './many.ts'
import { printTable } from './rounds.ts'
import { startService, stopService, Target } from './variants.ts'

export async function measureMemory(repositories: number, decisions: number): Promise<void> {
  const target = await Target.make('embedded')
  const { repository } = target
  const proved = target.ready('proved')
  const unproved = repository.commit('unproved')
  repository.mustRun(repository.push('main'))
  const paths = Array.from({ length: repositories }, (_, index) => {
    const path = join(repository.folder, `copy-${index}.git`)
    cpSync(repository.bare, path, { recursive: true })
    return path
  })
  const service = await startService(paths)
  const socket = join(paths[0] ?? '', 'headgate', 'socket')
  const rows: (string | number)[][] = [['decisions', 'resident MB']]
  const zero = '0'.repeat(proved.length)
  const start = performance.now()
  for (let done = 0; done <= decisions; done++) {
    if (done % (decisions / 10) === 0) rows.push([String(done), residentMegabytes(service.pid)])
    const path = paths[done % paths.length] ?? ''
    // One in a hundred is allowed and recorded; nobody makes the move, so that it is also followed and given up.
    const commit = done < paths.length ? proved : unproved
    await ask(
      socket,
      `repository ${path}\nphase pre-receive\npusher alice\n\n${zero} ${commit} refs/heads/release\n`,
    )
  }
  const seconds = (performance.now() - start) / 1000
  console.log(
    `the service's memory, ${decisions} decisions over ${repositories} repositories, ${Math.round(decisions / seconds)} a second`,
  )
  printTable(rows)
  await stopService(service)
  await target.remove()
}

export function residentMegabytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
