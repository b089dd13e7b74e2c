/** Forty pushers at once beside two busy loops for each core: no valid push is lost, and nobody waits for ever. */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { pushAtOnce } from '../test/at-once.ts'
import { printTable, Rounds } from './rounds.ts'
import { Target } from './variants.ts'

const EVIDENCE = 28
const BRANCHES = 11

export async function measureLoad(): Promise<void> {
  const loops = 2 * availableParallelism()
  const rows: (string | number)[][] = []
  for (const variant of ['plain', 'embedded', 'service'] as const) {
    const target = await Target.make(variant)
    const { repository } = target
    const commit = target.ready('promoted under load')
    const inbox = Array.from({ length: EVIDENCE }, (_, index) => {
      // Where nobody guards, the same objects go to a branch of their own.
      if (!target.isGuarded) return `${commit}:refs/heads/job-${index}`
      const payload = repository.evidencePayload(commit, (predicate) => {
        predicate.headgate.runner = `job ${index}`
      })
      return repository.inboxRefspec(repository.sign(payload, 'ci', 'headgate-evidence'))
    })
    const refspecs = [
      ...inbox,
      ...Array.from({ length: BRANCHES }, (_, index) => `${commit}:refs/heads/topic-${index}`),
      `${commit}:refs/heads/release`,
    ]
    const busy = Array.from({ length: loops }, () =>
      spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' }),
    )
    const times = new Rounds()
    let told = 0
    let lost = 0
    try {
      await Promise.all(
        refspecs.map(async (refspec) => {
          const start = performance.now()
          const { code, all } = await pushAtOnce(
            repository,
            refspec,
            refspec.includes('inbox') ? 'ci' : 'alice',
          )
          times.add(variant, performance.now() - start)
          if (all.includes('waiting, at most a minute')) told += 1
          if (code === 0) return
          lost += 1
          console.log(all)
        }),
      )
    } finally {
      for (const child of busy) child.kill('SIGKILL')
    }
    rows.push([variant, lost, told, times.quantile(variant, 0.5), times.quantile(variant, 0.99)])
    await target.remove()
  }
  console.log(`${EVIDENCE + BRANCHES + 1} pushers at once beside ${loops} busy loops`)
  printTable([['', 'lost', 'told to wait', 'p50 ms', 'p99 ms'], ...rows])
}
