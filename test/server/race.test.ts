/** What developers are told who push main too late, or a branch past it: what is so, and a way out that works. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ahead } from '../beginnings.ts'
import { guarded } from '../cli/run-program.ts'
import { receivePackBetween } from '../receive-pack-between.ts'

for (const args of [[], ['--force'], ['--force-with-lease']]) {
  test(`main moves between the server's offer and git push ${args.join(' ')}: moved meanwhile, fetch first`, () => {
    const repository = guarded()
    const other = join(repository.folder, 'other')
    repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, other]))
    const before = repository.git('rev-parse', 'HEAD')
    const mine = repository.commit('mine')
    const faster = `cd ${other} && git commit -q --allow-empty -m faster && git push -q origin HEAD:main`
    const between = receivePackBetween(repository, { afterOffer: faster })
    repository.git('config', 'remote.origin.receivepack', between)
    repository.git('fetch', '-q', 'origin')
    const ran = repository.push('main', { as: 'dave', args })
    const tip = repository.ref('refs/heads/main') ?? ''
    expect(ran.code).not.toBe(0)
    expect(ran.all).toContain('remote:   [staging-history]')
    expect(ran.all.replaceAll(/\s*\nremote:\s+/g, ' ')).toContain(
      `main moved meanwhile: it stands at ${tip.slice(0, 7)}, and this push believes that it is at ${before.slice(0, 7)} fix: fetch first and bring your work up to date, then push again: git pull --rebase origin main`,
    )
    expect(ran.all).not.toContain('would rewrite')
    repository.git('pull', '-q', '--rebase', 'origin', 'main')
    expect(repository.git('rev-parse', 'HEAD')).not.toBe(mine)
    expect(repository.push('main', { as: 'dave' }).code).toBe(0)
  })
}

test('the way out that on-staging prints works for a branch off release', () => {
  const repository = guarded({ prepare: ahead })
  repository.git('switch', '-q', '-c', 'hotfix', 'HEAD~1')
  const fix = repository.commit('hotfix', { 'hotfix.txt': 'fixed\n' })
  const refused = repository.push(`${fix}:refs/heads/release`)
  expect(refused.all).toContain('[on-staging]')
  const lines = refused.all.match(/(?<=^remote: +)git (?:fetch|merge) .*$/gm) ?? []
  expect(lines).toHaveLength(2)
  repository.mustRun(
    repository.run('sh', ['-ec', lines.map((line) => line.trim()).join('\n')], { cwd: repository.clone }),
  )
  repository.git('merge-base', '--is-ancestor', fix, repository.ref('refs/heads/main') ?? '')
})
