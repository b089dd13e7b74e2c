/** Steps 1 to 6: from an unguarded repository to the first promotion. */
import { gated, lands, notRun, pushesMain, refused } from './expectations.ts'
import { appFile, policyText } from './policy-files.ts'
import type { Stage } from './stage.ts'

/** Step 1. Returns the commit that is on main and release when headgate comes. */
export async function setUp(stage: Stage): Promise<string> {
  stage.narrator.step(
    'A server, its policy, three keys',
    'Hooks in a bare repository and a policy on main. $USER tells who pushes, as\n' +
      'on servers where each person has an account.',
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
  const roles = { ci: 'evidence', alice: 'approval', bob: 'approval' }
  const commands = Object.entries(roles).map(([name, role]) => {
    return ['headgate', 'key', 'generate', `keys/${name}`, '--for', role, '--principal', name]
  })
  for (const words of commands) stage.narrator.command('admin', words)
  const outputs = await Promise.all(commands.map((words) => stage.quietly('admin', words)))
  const lines = outputs.flatMap((output) =>
    output.split('\n').filter((line) => line.includes(' ssh-ed25519 ')),
  )
  stage.expect(lines.length === commands.length, 'each key was to come with a line for allowed_signers')
  stage.write('dev/.headgate/allowed_signers', `${lines.join('\n')}\n`)
  stage.narrator.aside('each prints a line for .headgate/allowed_signers')
}

/** Step 2. Returns the commit. */
export async function pushToMain(stage: Stage): Promise<string> {
  stage.narrator.step(
    'dave, a developer, pushes to main',
    'Look at how little there is to see: work on main goes on as before.',
  )
  stage.write('dev/app.json', appFile('hello, how can I help?', 'small'))
  return pushesMain(stage, 'Offer help')
}

/** Step 3. */
export async function withoutEvidence(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'alice, an operator, promotes it too early',
    'Look at the refusal: the rule in brackets, what was found, how to fix it.',
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
    'Staging reports the commit that it serves; another build proves nothing.',
  )
  await notRun(stage, commit)
}

/** Step 5. */
export async function evidenceRecorded(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'Staging is deployed; the gates pass',
    'CI signs the result with its SSH key and pushes it to the repository.',
  )
  await stage.deploy(stage.staging, 'main')
  await gated(stage, 'staging', commit, { passes: true })
}

/** Step 6. */
export async function promotionLands(stage: Stage, commit: string): Promise<void> {
  stage.narrator.step(
    'The same push as before now lands',
    'Plain git push. That it was permitted and that it landed are both recorded.',
  )
  await lands(stage, 'alice', ['git', 'push', 'origin', `${commit}:release`], { kind: 'promotion', commit })
  await stage.deploy(stage.production, 'release')
  stage.narrator.look('The smoke test in production makes it a release that one can go back to.')
  await gated(stage, 'prod', commit, { passes: true })
}
