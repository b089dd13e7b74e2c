/**
 * What the guard costs a push, as ratios to the same push without hooks in the same run:
 *
 *     npm run bench -- [local] [reftable] [ssh] [refs] [clients] [gates] [inbox] [load] [memory] [many] [ledger] [history] [verify] [--rounds N] [--full]
 *
 * Without a name every part runs; `reftable` needs a git of 2.46 or newer in HEADGATE_CURRENT_GIT. `--full` measures ledgers up to 100,000 records and histories up to 1,000,000 commits;
 * that takes minutes.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LoopbackSsh } from '../test/loopback-ssh.ts'
import { CURRENT_GIT } from '../test/make-repository.ts'
import { measureClientHooks } from './client-hooks.ts'
import { measureGates } from './gates.ts'
import { measureGrowth } from './growth.ts'
import { measureInbox } from './inbox.ts'
import { measureLoad } from './load.ts'
import { measureMany } from './many.ts'
import { measureMemory } from './memory.ts'
import { printTable, Rounds } from './rounds.ts'
import { Target, VARIANTS, type Variant } from './variants.ts'
import { measureVerify } from './verify.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '20' }, full: { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)
const wants = (part: string) => positionals.length === 0 || positionals.includes(part)

if (wants('local')) await pushes('local path', null)
if (wants('reftable')) {
  if (CURRENT_GIT !== undefined) await pushes('local path, refs in a reftable', null, 'reftable')
  else console.log('reftable: skipped, HEADGATE_CURRENT_GIT names no git\n')
}
if (wants('ssh')) {
  if (LoopbackSsh.isThere()) await overSsh()
  else console.log('ssh: skipped, there is no /usr/sbin/sshd (Debian: openssh-server)\n')
}
if (wants('refs')) await manyRefs()
if (wants('inbox')) await measureInbox(rounds * 5)
if (wants('load')) await measureLoad()
if (wants('memory')) await measureMemory(50, 10_000)
if (wants('many')) await measureMany(1_000)
if (wants('clients')) measureClientHooks(rounds)
if (wants('gates')) await measureGates(rounds)
if (wants('ledger')) await measureGrowth('ledger', values.full ? [10, 1_000, 100_000] : [10, 5_000], rounds)
if (wants('history'))
  await measureGrowth('history', values.full ? [100, 10_000, 1_000_000] : [100, 50_000], rounds)
if (wants('verify')) await measureVerify(values.full)

async function overSsh(): Promise<void> {
  const folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim()
  const ssh = await LoopbackSsh.start(join(folder, 'sshd'))
  try {
    await pushes('ssh on loopback', ssh)
  } finally {
    await ssh.stop()
    execFileSync('rm', ['-rf', folder])
  }
}

async function pushes(
  title: string,
  ssh: LoopbackSsh | null,
  refFormat: 'files' | 'reftable' = 'files',
): Promise<void> {
  const targets = new Map<Variant, Target>()
  for (const variant of VARIANTS) {
    const target = await Target.make(variant, refFormat)
    targets.set(variant, target)
    if (ssh !== null) {
      target.repository.env.GIT_SSH_COMMAND = ssh.command()
      target.repository.git('remote', 'set-url', 'origin', ssh.url(target.repository.bare))
    }
  }
  const times = new Rounds()
  for (let round = 0; round < rounds; round++) {
    for (const [variant, target] of targets) {
      const { repository } = target
      const commit = repository.commit(`commit ${round}`)
      const push = (what: string, refspec: string) =>
        times.time(`${variant} ${what}`, () => repository.mustRun(repository.push(refspec)))
      push('branch', `main:refs/heads/topic-${round}`)
      push('main', 'main')
      if (target.isGuarded) repository.prove(commit)
      push('promotion', `${commit}:refs/heads/release`)
    }
  }
  console.log(`${title}: median of ${rounds} rounds, over the same push without hooks`)
  printTable([
    ['', 'branch', 'main', 'promotion'],
    ...VARIANTS.map((variant) => [
      variant,
      ...['branch', 'main', 'promotion'].map((what) => times.ratio(`${variant} ${what}`, `plain ${what}`)),
    ]),
    ['plain, ms', ...['branch', 'main', 'promotion'].map((what) => times.median(`plain ${what}`))],
  ])
  for (const target of targets.values()) await target.remove()
}

/**
 * Until 2.51 git makes a transaction of every ref that is pushed, and runs reference-transaction twice for each, whatever
 * that hook does; since then, and with --atomic, it makes one of them all.
 */
async function manyRefs(): Promise<void> {
  const variants = ['plain', 'shell hooks', 'embedded'] as const
  const cases = [
    { title: '10000 unguarded refs in one transaction', count: 10_000, args: ['--atomic'] },
    { title: '1000 unguarded refs, a transaction each', count: 1_000, args: [] },
  ]
  for (const { title, count, args } of cases) {
    const times = new Rounds()
    for (let round = 0; round < Math.max(3, rounds / 5); round++) {
      for (const variant of variants) {
        const target = await Target.make(variant)
        const { repository } = target
        const head = repository.git('rev-parse', 'main')
        const lines = Array.from({ length: count }, (_, index) => `${head} refs/many/${1e5 + index}\n`)
        const header = '# pack-refs with: peeled fully-peeled sorted \n'
        writeFileSync(join(repository.clone, '.git', 'packed-refs'), header + lines.join(''))
        const push = () => repository.mustRun(repository.push('refs/many/*:refs/heads/many/*', { args }))
        times.time(variant, push)
        await target.remove()
      }
    }
    console.log(title)
    printTable([
      ['', 'ratio', 'ms'],
      ...variants.map((variant) => [variant, times.ratio(variant, 'plain'), times.median(variant)]),
    ])
  }
}
