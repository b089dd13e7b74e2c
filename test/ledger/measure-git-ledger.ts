/**
 * Measures the git ledger at a given length: `node test/ledger/measure-git-ledger.ts 20000`. Not a test: numbers depend on
 * the machine. The ledger is built by one `git fast-import` of the stream that appends use, every record about a commit
 * of its own.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LEDGER_REF } from '../../src/core/refs.ts'
import { advanceState, emptyState } from '../../src/core/state.ts'
import { GitLedger } from '../../src/ledger/git-ledger.ts'
import { EMPTY_HEAD } from '../../src/ledger/ledger.ts'
import { parseRecord, sealRecord } from '../../src/ledger/record.ts'
import { openRepository } from '../open-repository.ts'
import { importStream } from './import-stream.ts'
import { evidence, oidOf, seal } from './records.ts'

const count = Number(process.argv[2] ?? 20_000)
const folder = mkdtempSync(join(tmpdir(), 'headgate-measure-'))
const bare = join(folder, 'app.git')
execFileSync('git', ['init', '-q', '--bare', bare])

const started = performance.now()
const importing = spawn('git', ['--git-dir', bare, 'fast-import', '--quiet', '--done'], {
  stdio: ['pipe', 'ignore', 'inherit'],
})
const imported = once(importing, 'close')
let head = EMPTY_HEAD
let state = emptyState
for (let seq = 1; seq <= count; seq++) {
  const record = parseRecord(
    sealRecord({ seq, previous: head.hash, ...evidence(oidOf(`commit ${seq}`), seq % 1440) }, seal).bytes,
  )
  state = advanceState(state, record)
  head = { seq, hash: record.hash }
  const stream = importStream(null, [{ record, state }]).toString()
  const commit = stream.slice(0, stream.indexOf('get-mark')).replace('refs/headgate/importing', LEDGER_REF)
  if (!importing.stdin.write(commit)) await once(importing.stdin, 'drain')
}
importing.stdin.end('done\n')
await imported
report(`${count} records built`, [performance.now() - started])
execFileSync('git', ['--git-dir', bare, 'gc', '--quiet'])
process.stdout.write(
  execFileSync('git', ['--git-dir', bare, 'count-objects', '-vH'], { encoding: 'utf8' }).replace(
    /^[\s\S]*(size-pack: .*)[\s\S]*$/,
    '$1\n',
  ),
)

const repository = await openRepository(bare)
const ledger = new GitLedger(repository, seal)
const known = (index: number) => oidOf(`commit ${1 + ((index * 7919) % count)}`)

await measure('open, snapshot, about: a new process for each', 30, async (index) => {
  const own = await openRepository(bare)
  const snapshot = await new GitLedger(own, seal).snapshot()
  await snapshot.about(known(index))
  own.close()
})
await measure('about, process running', 300, (index) => ledger.about(known(index)))
await measure('snapshot, process running', 300, () => ledger.snapshot())
await measure('append of one record', 60, async (index) =>
  ledger.append(await ledger.head(), [evidence(known(index), 1)]),
)
await measure('append of three records', 30, async (index) => {
  const record = evidence(known(index), 1)
  return ledger.append(await ledger.head(), [record, record, record])
})
await measure('read(head - 9)', 30, async () => drain(ledger.read((await ledger.head()).seq - 9)))
const beforeBytes = process.memoryUsage().rss
let peakBytes = 0
const reading = performance.now()
let read = 0
for await (const record of ledger.read(1)) {
  read = record.seq
  if (read % 1000 === 0) peakBytes = Math.max(peakBytes, process.memoryUsage().rss)
}
report(
  `read(1), ${read} records, ${Math.round((peakBytes - beforeBytes) / 1024 / 1024)} MiB more than before`,
  [performance.now() - reading],
)
repository.close()
rmSync(folder, { recursive: true })

async function drain(records: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of records);
}

async function measure(
  name: string,
  times: number,
  action: (index: number) => Promise<unknown>,
): Promise<void> {
  const durations: number[] = []
  for (let index = 0; index < times; index++) {
    const start = performance.now()
    await action(index)
    durations.push(performance.now() - start)
  }
  report(name, durations)
}

function report(name: string, durations: number[]): void {
  const sorted = durations.sort((a, b) => a - b)
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)
  process.stdout.write(`${name}: median ${at(0.5)} ms, 95 % ${at(0.95)} ms\n`)
}
