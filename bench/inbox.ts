/** Evidence through the inbox: how fast CI jobs can record it, one after the other and eight at a time. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { printTable, Rounds } from './rounds.ts'
import { Target } from './variants.ts'

const run = promisify(execFile)

export async function measureInbox(count: number): Promise<void> {
  const times = new Rounds()
  const rows: (string | number)[][] = []
  for (const variant of ['embedded', 'service'] as const) {
    for (const jobs of [1, 8]) {
      const target = await Target.make(variant)
      const { repository } = target
      const commit = repository.commit('subject')
      repository.mustRun(repository.push('main'))
      // Each has another URL, so that no two are the same statement.
      const refspecs = Array.from({ length: count }, (_, index) =>
        repository.inboxRefspec(
          repository.sign(
            repository.evidencePayload(commit, (predicate) => {
              predicate.url = `https://ci.example.com/runs/${index}`
            }),
            'ci',
            'headgate-evidence',
          ),
        ),
      )
      const name = `${variant} ${jobs}`
      const start = performance.now()
      await Promise.all(
        Array.from({ length: jobs }, async () => {
          for (let refspec = refspecs.pop(); refspec !== undefined; refspec = refspecs.pop()) {
            const began = performance.now()
            await run('git', ['push', '-q', 'origin', refspec], {
              cwd: repository.clone,
              env: repository.env,
            })
            times.add(name, performance.now() - began)
          }
        }),
      )
      const seconds = (performance.now() - start) / 1000
      rows.push([name, count / seconds, times.quantile(name, 0.5), times.quantile(name, 0.99)])
      await target.remove()
    }
  }
  console.log(`evidence through the inbox, ${count} submissions`)
  printTable([['jobs at a time', 'per second', 'p50 ms', 'p99 ms'], ...rows])
}
