/** Whether a promotion and a push of an unguarded branch cost more with a longer ledger or a longer history. */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSealKey } from '../server/seal-key.ts'
import { LEDGER_REF } from '../src/core/refs.ts'
import { advanceState } from '../src/core/state.ts'
import { GitLedger } from '../src/ledger/git-ledger.ts'
import { parseRecord, sealRecord } from '../src/ledger/record.ts'
import { importStream } from '../test/ledger/import-stream.ts'
import { evidence, oidOf } from '../test/ledger/records.ts'
import { openRepository } from '../test/open-repository.ts'
import { printTable, Rounds } from './rounds.ts'
import { Target } from './variants.ts'

export async function measureGrowth(
  what: 'ledger' | 'history',
  sizes: readonly number[],
  rounds: number,
): Promise<void> {
  const columns: string[] = []
  const targets = new Map<string, Target>()
  for (const size of sizes) {
    const graphs = what === 'history' ? [false, true] : [false]
    for (const graph of graphs) {
      const name = `${size}${graph ? ' with commit-graph' : ''}`
      for (const variant of ['plain', 'embedded', 'service'] as const) {
        const target = await Target.make(variant)
        if (what === 'history') await growHistory(target, size, graph)
        else if (target.isGuarded) await growLedger(target, size)
        targets.set(`${variant} ${name}`, target)
      }
      columns.push(name)
    }
  }
  const times = new Rounds()
  for (let round = 0; round < rounds; round++) {
    for (const [name, target] of targets) {
      const { repository } = target
      const commit = target.ready(`round ${round}`)
      times.time(`${name} promotion`, () => target.promote(commit))
      times.time(`${name} branch`, () =>
        repository.mustRun(repository.push(`main:refs/heads/topic-${round}`)),
      )
    }
  }
  console.log(
    `${what === 'ledger' ? 'records in the ledger' : 'commits on main'}, over the same push without hooks`,
  )
  printTable([
    ['', ...columns],
    ...(['embedded', 'service'] as const).flatMap((variant) =>
      ['promotion', 'branch'].map((push) => [
        `${variant} ${push}`,
        ...columns.map((name) => times.ratio(`${variant} ${name} ${push}`, `plain ${name} ${push}`)),
      ]),
    ),
    ['plain promotion, ms', ...columns.map((name) => times.median(`plain ${name} promotion`))],
    ['service promotion, ms', ...columns.map((name) => times.median(`service ${name} promotion`))],
  ])
  for (const target of targets.values()) await target.remove()
}

/** Evidence about other commits, one commit a record as the server writes them, and packed as `git gc` leaves them. */
async function growLedger({ repository }: Target, count: number): Promise<void> {
  const { bare } = repository
  const { seal } = readSealKey(bare)
  const opened = await openRepository(bare)
  const snapshot = await new GitLedger(opened, seal).snapshot()
  const tip = (await opened.refs([LEDGER_REF])).get(LEDGER_REF)?.oid ?? null
  opened.close()
  await fastImport(bare, async (write) => {
    let { head, state } = snapshot
    for (let index = 1; index <= count; index++) {
      const seq = head.seq + 1
      const fields = { seq, previous: head.hash, ...evidence(oidOf(`commit ${index}`), index % 1440) }
      const record = parseRecord(sealRecord(fields, seal).bytes)
      state = advanceState(state, record)
      head = { seq, hash: record.hash }
      const stream = importStream(index === 1 ? tip : null, [{ record, state }]).toString()
      await write(stream.slice(0, stream.indexOf('get-mark')).replace('refs/headgate/importing', LEDGER_REF))
    }
  })
}

async function growHistory({ repository }: Target, count: number, graph: boolean): Promise<void> {
  const { bare, clone } = repository
  const tip = repository.git('rev-parse', 'main')
  await fastImport(bare, async (write) => {
    for (let index = 1; index <= count; index++) {
      const from = index === 1 ? `from ${tip}\n` : ''
      await write(
        `commit refs/heads/main\ncommitter Dev <dev@example.com> ${1_700_000_000 + index} +0000\ndata 4\nmore\n${from}\n`,
      )
    }
  })
  if (graph)
    execFileSync('git', ['--git-dir', bare, 'commit-graph', 'write', '--reachable'], { stdio: 'ignore' })
  // The clone sees the same objects without a fetch of all of them.
  appendFileSync(join(clone, '.git', 'objects', 'info', 'alternates'), `${join(bare, 'objects')}\n`)
  repository.git('reset', '-q', '--hard', repository.ref('refs/heads/main') ?? '')
}

async function fastImport(
  bare: string,
  produce: (write: (text: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const importing = spawn(
    'git',
    ['--git-dir', bare, '-c', 'core.hooksPath=/dev/null', 'fast-import', '--quiet', '--force', '--done'],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  )
  const imported = once(importing, 'close')
  await produce(async (text) => {
    if (!importing.stdin.write(text)) await once(importing.stdin, 'drain')
  })
  importing.stdin.end('done\n')
  const [code] = await imported
  if (code !== 0) throw new Error(`fast-import ended with ${code}`)
}
