/** Steps 1 to 6: from an unguarded repository to the first promotion. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { gated, lands, pushesMain, refused } from './expectations.ts'
import { appFile, policyText } from './policy-files.ts'
import type { Stage } from './stage.ts'

/** Step 1. Returns the commit that is on main and release when headgate comes. */
export async function setUp(stage: Stage): Promise<string> {
  stage.narrator.step(
    'A server, its policy, three keys',
    'Nothing to run and no account: hooks in the bare repository, a policy that was reviewed on main. ' +
      'Who pushes is told by $USER here, as with one system account for each person.',
  )
  await makeRepository(stage)
  await makeKeys(stage)
  await stage.must('dave', ['headgate', 'policy', 'check'])
  await stage.quietly('dave', ['git', 'add', '-A'])
  await stage.quietly('dave', ['git', 'commit', '-qm', 'First version'])
  await stage.must('dave', ['git', 'push', '-q', 'origin', 'main', 'main:release'])
  const { output } = await stage.must(
    'admin',
    ['headgate', 'server', 'install', 'app.git', '--identity', 'env:USER'],
    { elide: /^ {2}set / },
  )
  stage.expect(/policy version 1 is in force now/.test(output), 'the policy was to be in force')
  stage.expect(
    /is recorded as the baseline/.test(output),
    'the release that was there was to be the baseline',
  )
  const first = (await stage.commitAt('refs/heads/release')) ?? ''
  await stage.quietly('admin', ['git', 'clone', '-q', 'app.git', 'ops'])
  await stage.quietly('alice', ['git', 'remote', 'set-url', 'origin', '../app.git'])
  stage.narrator.asTold(`guarded; release stands at ${first}, where headgate found it`)
  await stage.deploy(stage.staging, 'main')
  await stage.deploy(stage.production, 'release')
  return first
}

async function makeRepository(stage: Stage): Promise<void> {
  await stage.quietly('admin', ['git', 'init', '-q', '--bare', 'app.git'])
  await stage.quietly('admin', ['git', 'init', '-q', 'dev'])
  await stage.quietly('dave', ['git', 'remote', 'add', 'origin', '../app.git'])
  await stage.quietly('dave', ['mkdir', '.headgate'])
  stage.write('dev/app.json', appFile('hello', 'small'))
  const places = { staging: stage.staging.url, production: stage.production.url }
  stage.write('dev/.headgate/policy.yaml', policyText({ ...places, maxAge: '24h' }))
}

async function makeKeys(stage: Stage): Promise<void> {
  const keys = [
    ['ci', 'evidence', 'ci@example.com'],
    ['alice', 'approval', 'alice'],
    ['bob', 'approval', 'bob'],
  ] as const
  for (const [name, role, principal] of keys) {
    const words = ['headgate', 'key', 'generate', `keys/${name}`, '--for', role, '--principal', principal]
    stage.narrator.command('admin', words)
    const line = (await stage.quietly('admin', words))
      .split('\n')
      .find((text) => text.includes(' ssh-ed25519 '))
    stage.expect(line !== undefined, 'headgate key generate was to print a line for allowed_signers')
    appendFileSync(join(stage.folder, 'dev', '.headgate', 'allowed_signers'), `${line}\n`)
  }
  stage.narrator.aside('it prints a line each; the three make .headgate/allowed_signers, next to policy.yaml')
}

/** Step 2. Returns the commit. */
export async function pushToMain(stage: Stage): Promise<string> {
  stage.narrator.step(
    'dave, a developer, pushes to main',
    'Nothing to look at, and that is the point: work on main goes on as before.',
  )
  stage.write('dev/app.json', appFile('hello, how can I help?', 'small'))
  return pushesMain(stage, 'Offer help')
}

/** Step 3. */
export async function withoutEvidence(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'alice, an operator, promotes it too early',
    'A refusal names its rule in brackets, what was found, and the command that fixes it.',
  )
  await stage.quietly('alice', ['git', 'fetch', '-q'])
  await refused(stage, 'alice', ['git', 'push', 'origin', `${commit}:release`], {
    rule: 'evidence',
    only: true,
    says: /no staging evidence/,
  })
}

/** Step 4. */
export async function wrongBuild(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'CI runs the gates, but staging still serves the old commit',
    'Staging itself says which commit it serves: a healthy answer of another build proves nothing.',
  )
  await gated(stage, 'staging', commit, { passes: false, says: /staging serves .*, not / })
}

/** Step 5. */
export async function evidenceRecorded(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'Staging is deployed; the gates pass',
    'CI signs the result with its SSH key and pushes it to the inbox of the repository: no other way in.',
  )
  await stage.deploy(stage.staging, 'main')
  await gated(stage, 'staging', commit, { passes: true })
}

/** Step 6. */
export async function promotionLands(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'The same push as before now lands',
    'Plain git push. The permission is on disk before git moves the branch; that it landed is recorded, too.',
  )
  await lands(stage, 'alice', ['git', 'push', 'origin', `${commit}:release`], { kind: 'promotion', commit })
  await stage.deploy(stage.production, 'release')
  stage.narrator.look('The smoke test in production makes it a release that one can go back to.')
  await gated(stage, 'prod', commit, { passes: true })
}
