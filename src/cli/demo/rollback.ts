/** Steps 8 to 11: a release that fails in production, the approved way back, and what it does not permit. */
import { gated, lands, refused } from './expectations.ts'
import type { Stage } from './stage.ts'

/** Step 8. */
export async function failsInProduction(stage: Stage, bad: string): Promise<void> {
  stage.narrator.step(
    'The second promotion lands, and fails in production',
    'Staging has the large model, production has not: no staging gate can tell.',
  )
  await lands(stage, 'alice', ['git', 'push', 'origin', `${bad}:release`], { kind: 'promotion', commit: bad })
  await stage.deploy(stage.production, 'release')
  await gated(stage, 'prod', bad, { passes: false, says: /chat .*500/ })
}

/** Step 9. Returns the push that rolls back. */
export async function rollsBack(stage: Stage, bad: string, good: string): Promise<readonly string[]> {
  stage.narrator.step(
    'An approved rollback',
    `bob signs for exactly ${bad} -> ${good}, once; alice pushes: four eyes.`,
  )
  const approve = ['headgate', 'approve', '--from', bad, '--to', good, '--key', '../keys/bob']
  const { output } = await stage.must('bob', [...approve, '--reason', 'chat fails with 500'])
  const rollback = [
    'git',
    'push',
    `--force-with-lease=release:${bad}`,
    'origin',
    `${good}:refs/heads/release`,
  ]
  stage.expect(output.includes(rollback.join(' ')), 'headgate approve was to print the push that follows')
  await lands(stage, 'alice', rollback, { kind: 'rollback', commit: good })
  await stage.deploy(stage.production, 'release')
  return rollback
}

/** Step 10. */
export async function badCommitIsBarred(stage: Stage, bad: string): Promise<void> {
  stage.narrator.step(
    'The commit that failed does not come back by itself',
    'Its evidence is older than the rollback: it did not see the trouble.',
  )
  await refused(stage, 'alice', ['git', 'push', 'origin', `${bad}:release`], { rule: 'barred', only: true })
}

/** Step 11. */
export async function notTwice(stage: Stage, bad: string, rollback: readonly string[]): Promise<void> {
  stage.narrator.step(
    'It was not the cause: production gets the large model, the commit may return',
    'It must be proved on staging once more, after the rollback.',
  )
  stage.production.models.add('large')
  stage.narrator.aside('production has the large model now')
  await gated(stage, 'staging', bad, { passes: true })
  await lands(stage, 'alice', ['git', 'push', 'origin', `${bad}:release`], { kind: 'promotion', commit: bad })
  await stage.deploy(stage.production, 'release')

  stage.narrator.look('The very rollback that landed before: the approval by bob was for once.')
  await refused(stage, 'alice', rollback, { rule: 'approval', says: /has been used/ })
}
