/** Step 7: every other way onto release. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { gated, pushesMain, refused } from './expectations.ts'
import { appFile, policyText } from './policy-files.ts'
import type { Stage } from './stage.ts'

/** Returns the commit of main that could be promoted, were it not for what each attempt does wrong. */
export async function everyOtherWay(stage: Stage, first: string): Promise<string> {
  stage.narrator.step(
    'Work goes on, and every other way onto release is tried',
    'Look at the rule in brackets, each time.',
  )
  stage.write('dev/app.json', appFile('hello, how can I help?', 'large'))
  const next = await pushesMain(stage, 'Use the large model')
  await stage.deploy(stage.staging, 'main')
  await gated(stage, 'staging', next, { passes: true })
  const proved = Date.now()
  await stage.quietly('alice', ['git', 'fetch', '-q'])

  await directCommit(stage)
  await mergeOntoRelease(stage)

  stage.narrator.look('Forcing it back to an older commit without an approval.')
  await refused(stage, 'alice', ['git', 'push', '--force', 'origin', `${first}:release`], {
    rule: 'approval',
  })

  stage.narrator.look('Deleting it.')
  await refused(stage, 'alice', ['git', 'push', 'origin', '--delete', 'release'], { rule: 'release-delete' })

  stage.narrator.look('The right commit, well proved, pushed by a developer who is no operator.')
  const promotion = ['git', 'push', 'origin', `${next}:release`]
  await refused(stage, 'dave', promotion, { rule: 'operator', only: true })

  await staleEvidence(stage, promotion, proved)
  return next
}

async function directCommit(stage: Stage): Promise<void> {
  stage.narrator.look('A hotfix committed straight onto release: staging never ran it.')
  await stage.must('alice', ['git', 'switch', '-qc', 'hotfix', 'origin/release'])
  await stage.must('alice', ['git', 'commit', '-qm', 'Quick fix', '--allow-empty'])
  await refused(stage, 'alice', ['git', 'push', 'origin', 'HEAD:release'], { rule: 'on-staging' })
}

async function mergeOntoRelease(stage: Stage): Promise<void> {
  stage.narrator.look('Merging main into release: a commit that staging never ran, either.')
  await stage.must('alice', ['git', 'switch', '-qc', 'merged', 'origin/release'])
  await stage.must('alice', ['git', 'merge', '-q', '--no-ff', '-m', 'Merge main', 'origin/main'])
  await refused(stage, 'alice', ['git', 'push', 'origin', 'HEAD:release'], {
    rule: 'on-staging',
    says: /is a merge commit that was made onto release/,
  })
}

async function staleEvidence(stage: Stage, promotion: readonly string[], proved: number): Promise<void> {
  stage.narrator.look(
    'The right commit by an operator, but its evidence is too old. For this once\n' +
      'the admin applies a policy that allows 1 s, so that you need not wait 24 h.',
  )
  const places = { staging: stage.staging.url, production: stage.production.url }
  mkdirSync(join(stage.folder, 'strict'))
  stage.write('strict/policy.yaml', policyText({ ...places, maxAge: '1s' }))
  await stage.quietly('admin', ['cp', 'dev/.headgate/allowed_signers', 'strict/'])
  await stage.must('admin', ['headgate', 'policy', 'apply', 'app.git', 'strict'])
  await stage.waitUntil(proved + 2_200)
  await refused(stage, 'alice', promotion, { rule: 'evidence', only: true, says: /the policy allows 1 ?s/ })
  await stage.must('admin', ['headgate', 'policy', 'apply', 'app.git'])
}
