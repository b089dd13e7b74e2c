/** A relay that is killed at any moment leaves the host as it was, or as it answered: there is nothing in between. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { headgate } from '../cli/run-program.ts'
import { PROGRAM } from '../make-repository.ts'
import { RelayedHost } from './relayed-host.ts'

/** Part of the time that an undisturbed look takes. */
const MOMENTS = [0.2, 0.4, 0.55, 0.7, 0.85, 0.95]

test('killed while it answers, it or another one goes on, and the ledger is one chain with one move a request', async () => {
  const host = new RelayedHost()
  const { repository } = host
  const folder = join(repository.folder, 'relay')
  const env = { TEST_PUSHER: 'relay' }
  const run = (...args: string[]) => headgate(repository, ['relay', ...args], { env })
  expect((await run('init', repository.bare, folder, '--policy', repository.policyFolder)).code).toBe(0)
  host.askFor('first')
  const start = performance.now()
  expect((await run('--once', folder)).code).toBe(0)
  const wholeMs = performance.now() - start
  const commits: string[] = []
  for (const part of MOMENTS) {
    commits.push(host.askFor(`at ${part}`))
    const child = spawn(process.execPath, [PROGRAM, 'relay', '--once', folder], {
      env: { ...repository.env, ...env },
      stdio: 'ignore',
      detached: true,
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    await new Promise((resolve) => setTimeout(resolve, wholeMs * part))
    try {
      // With the git processes that it started.
      process.kill(-(child.pid ?? 0), 'SIGKILL')
    } catch {
      // It has ended already.
    }
    await ended
    const before = host.release
    // The branch and the record that permits it came together.
    expect(host.subjects().filter((line) => / landed, /.test(line))).toHaveLength(
      1 +
        commits.filter(
          (commit) => commit === before || commits.indexOf(commit) < commits.indexOf(before ?? ''),
        ).length,
    )
    const again = await run('--once', folder)
    expect(again.code, again.all).toBe(0)
    expect(host.release).toBe(commits.at(-1))
    expect(host.inbox()).toEqual([])
  }
  const verified = await headgate(repository, ['verify', '--trust', join(folder, 'seal-key.pub')])
  expect(verified.code, verified.all).toBe(0)
})
