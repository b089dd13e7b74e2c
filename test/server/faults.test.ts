/**
 * Processes die at random moments of a push, by SIGKILL: git's own, the hooks, headgate's, the service. Afterwards no
 * guarded ref has moved without an authorization, nothing is spent that did not land, and the same push again, with no
 * more repair than removing the locks of the dead, succeeds.
 *
 * HEADGATE_FAULTS sets how many pushes of each way are struck; HEADGATE_SEED repeats a run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { TestRepository } from '../make-repository.ts'
import { seeded } from '../seeded.ts'
import { expectSoundLedger, ledgerRecords } from './attack.ts'
import { RunningService } from './running-service.ts'

const COUNT = Number(process.env.HEADGATE_FAULTS ?? 4)
const SEED = Number(process.env.HEADGATE_SEED ?? Date.now() % 1_000_000)
const RELEASE = 'refs/heads/release'
/** Longer than any push here takes, so that some strike after the end. */
const LATEST_MS = 280

let repository: TestRepository
let service: RunningService | undefined
afterEach(async () => {
  await service?.stop('SIGKILL')
  service = undefined
  repository.remove()
})

type Process = { readonly pid: number; readonly parent: number; readonly name: string }

/** Those processes of ours that work for this repository: the push's descendants, and hooks that outlived it. */
function processesOf(push: ChildProcess): Process[] {
  const all: Process[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const [, name = '', rest = ''] =
        /^\d+ \((.*)\) \S (.*)$/s.exec(readFileSync(`/proc/${entry}/stat`, 'latin1')) ?? []
      all.push({ pid: Number(entry), parent: Number(rest.split(' ')[0]), name })
    } catch {
      // It has ended meanwhile.
    }
  }
  const ours = new Set([push.pid])
  for (const _ of all) for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid)
  ours.delete(push.pid)
  return all.filter(({ pid }) => ours.has(pid))
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

/** One push that is struck after a while. Says who died. */
async function struckPush(refspec: string, random: () => number): Promise<string> {
  const push = spawn('git', ['push', 'origin', refspec], {
    cwd: repository.clone,
    env: repository.env,
    stdio: 'ignore',
  })
  const ended = new Promise<void>((resolve) => push.once('close', () => resolve()))
  await new Promise((resolve) => setTimeout(resolve, random() * LATEST_MS))
  let died: string
  if (service !== undefined && random() < 0.4) {
    await service.stop('SIGKILL')
    service = await RunningService.start([repository.bare])
    died = 'service'
  } else {
    const candidates = processesOf(push)
    const everybody = random() < 0.3
    const struck = everybody
      ? candidates
      : candidates.slice(Math.floor(random() * candidates.length)).slice(0, 1)
    for (const { pid } of struck) kill(pid)
    died = struck.map(({ name }) => name).join('+') || 'nobody'
  }
  await ended
  return died
}

/** What operations.md tells the admin to do after a crash, once no git process runs. */
function removeLocks(): string[] {
  const locks = readdirSync(join(repository.bare, 'refs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.lock'))
    .map((name) => join(repository.bare, 'refs', name))
  for (const lock of locks) rmSync(lock)
  return locks
}

/** Whatever died, release is where a landed or an authorized move put it. */
function expectCovered(why: string): void {
  const records = ledgerRecords(repository)
  const closed = new Map(
    records
      .filter(({ kind }) => kind === 'outcome')
      .map(({ predicate }) => [predicate.authorization, predicate.result]),
  )
  const allowed = records
    .filter(({ kind, seq }) => kind === 'authorization' && closed.get(seq) !== 'not-landed')
    .map(({ predicate }) => predicate['urn:headgate:move'].to)
  expect(allowed, why).toContain(repository.ref(RELEASE))
}

describe.each(['embedded', 'through the service'])('%s', (way) => {
  test(
    'struck at random moments it recovers by the next push, and nothing is lost or spent',
    async () => {
      const random = seeded(SEED)
      repository = new TestRepository()
      const good = repository.release('good')
      if (way !== 'embedded') service = await RunningService.start([repository.bare])
      for (let round = 0; round < COUNT; round++) {
        const from = repository.ref(RELEASE) ?? ''
        const back = from !== good && random() < 0.4
        let to = good
        if (back) {
          const approval = repository.sign(repository.approvalPayload(from, to), 'bob', 'headgate-approval')
          repository.mustRun(repository.submit(approval, 'bob'))
        } else {
          to = repository.commit(`round ${round}`)
          repository.mustRun(repository.push('main'))
          repository.prove(to)
        }
        const refspec = `${back ? '+' : ''}${to}:${RELEASE}`

        const died = await struckPush(refspec, random)

        const why = `seed ${SEED}, ${way}, round ${round}: ${died} died`
        const locks = removeLocks()
        expectCovered(why)
        const again = repository.push(refspec)
        expect(again.code, `${why}; locks ${locks.join(' ')}\n${again.all}`).toBe(0)
        expect(repository.ref(RELEASE), why).toBe(to)
        if (process.env.HEADGATE_FAULTS !== undefined)
          console.log(why, locks.length, again.all.split('\n')[0])
      }
      // The last move may still be about to be recorded by whoever outlived its push.
      repository.release('afterwards')
      expectSoundLedger(repository)
    },
    60_000 + COUNT * 15_000,
  )
})
