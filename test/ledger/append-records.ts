/**
 * A process of its own that appends: `node append-records.ts REPOSITORY NAME COUNT`. Prints `ready`, then the number of
 * each record as soon as the ledger has answered for it.
 */

import { GitLedger } from '../../src/ledger/git-ledger.ts'
import { openRepository } from '../open-repository.ts'
import { evidence, oidOf, seal } from './records.ts'

const [path = '', name = '', count = ''] = process.argv.slice(2)
const repository = await openRepository(path)
const ledger = new GitLedger(repository, seal)
process.stdout.write('ready\n')
for (let appended = 0; appended < Number(count); ) {
  const result = await ledger.append(await ledger.head(), [evidence(oidOf(`${name} ${appended}`), appended)])
  if (result.kind === 'stale') continue
  appended += 1
  process.stdout.write(`${result.head.seq}\n`)
}
repository.close()
