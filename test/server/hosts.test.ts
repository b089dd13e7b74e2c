/**
 * Hosts that run hooks of their own, and from them the hooks of others. Neither Gitea nor GitLab is at hand: what stands
 * in for them here does with the hooks what their documentation and sources say.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Ran, TestRepository, unwrapped } from '../make-repository.ts'

function unguarded(): TestRepository {
  const repository = new TestRepository({ install: false })
  onTestFinished(() => repository.remove())
  return repository
}

function script(path: string, text: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
}

/** Gitea runs everything in the folder, also after one has failed, and fails if one did. */
function gitea(repository: TestRepository): void {
  for (const name of ['pre-receive', 'post-receive']) {
    const hook = join(repository.bare, 'hooks', name)
    const run = 'input=$(cat) failed=0; for each in "$0".d/*; do test -x "$each" || continue'
    script(hook, `${run}; printf '%s\\n' "$input" | "$each" || failed=1; done; exit $failed`)
    script(`${hook}.d/gitea`, `test ! -e '${repository.folder}/gitea-refuses'`)
  }
}

function install(repository: TestRepository, ...args: string[]): Ran {
  const { bare, policyFolder } = repository
  return repository.headgate('server', 'install', bare, '--policy', policyFolder, ...args)
}

function proved(
  repository: TestRepository,
  subject: string,
  push = (refspec: string) => repository.push(refspec),
) {
  const commit = repository.commit(subject)
  repository.mustRun(push('main'))
  const envelope = repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')
  repository.mustRun(push(repository.inboxRefspec(envelope)))
  return commit
}

test("Gitea's own hooks stay, and run headgate's beside theirs", () => {
  const repository = unguarded()
  gitea(repository)
  const own = readFileSync(join(repository.bare, 'hooks', 'pre-receive'), 'utf8')
  const unasked = install(repository, '--identity', 'env:TEST_PUSHER')
  expect([unasked.code, unasked.stderr]).toEqual([
    78,
    `headgate: ${repository.bare} looks like a repository of Gitea or Forgejo
  hint: its hooks have a place of their own there: headgate server install ${repository.bare} --identity env:GITEA_PUSHER_NAME --host gitea   (headgate server install ${repository.bare} --identity env:GITEA_PUSHER_NAME --host plain, if it is none)
`,
  ])
  expect(existsSync(join(repository.bare, 'headgate'))).toBe(false)
  repository.mustRun(install(repository, '--identity', 'env:TEST_PUSHER', '--host', 'gitea'))
  expect(readFileSync(join(repository.bare, 'hooks', 'pre-receive'), 'utf8')).toBe(own)

  const commit = proved(repository, 'first')
  expect(repository.push(`${commit}:refs/heads/release`, { as: 'mallory' }).all).toContain('[operator]')
  const landed = repository.push(`${commit}:refs/heads/release`)
  expect(landed.all).toContain('release is now')
  expect(repository.ref('refs/heads/release')).toBe(commit)
  // The last word is git's own hook, as ever.
  expect(
    repository.run('git', ['update-ref', '-d', 'refs/heads/release'], { cwd: repository.bare }).all,
  ).toContain('no open authorization covers release')

  // What the host refuses is no move, and evidence that came earlier stays.
  const next = proved(repository, 'second')
  writeFileSync(join(repository.folder, 'gitea-refuses'), '')
  expect(repository.push(`${next}:refs/heads/release`).code).not.toBe(0)
  expect(repository.ref('refs/heads/release')).toBe(commit)

  expect(repository.headgate('doctor', repository.bare).code).toBe(0)
  // Without --host it stays what it was.
  repository.mustRun(install(repository, '--identity', 'env:TEST_PUSHER'))
  expect(readFileSync(join(repository.bare, 'hooks', 'pre-receive'), 'utf8')).toBe(own)
  script(join(repository.bare, 'hooks', 'pre-receive'), 'exit 0')
  const ill = repository.headgate('doctor', repository.bare)
  expect([ill.code, unwrapped(ill.stdout)]).toEqual([
    77,
    expect.stringContaining('is not the script of gitea that runs'),
  ])

  repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))
  expect(existsSync(join(repository.bare, 'hooks/pre-receive.d/headgate'))).toBe(false)
  expect(existsSync(join(repository.bare, 'hooks/pre-receive.d/gitea'))).toBe(true)
  expect(existsSync(join(repository.bare, 'hooks/reference-transaction'))).toBe(false)
})

test('GitLab runs the hooks of custom_hooks, and its pages show why a push was refused', () => {
  const repository = unguarded()
  // Gitaly's hooks are in a folder of its own; they run those of the repository in order until one fails.
  const gitaly = join(repository.folder, 'gitaly')
  for (const name of ['pre-receive', 'post-receive']) {
    const filtered =
      'env -i PATH="$PATH" GL_USERNAME="$TEST_PUSHER" GL_PROTOCOL="$GL_PROTOCOL" GIT_DIR="$GIT_DIR"'
    const quarantine =
      'GIT_QUARANTINE_PATH="$GIT_QUARANTINE_PATH" GIT_OBJECT_DIRECTORY="$GIT_OBJECT_DIRECTORY" GIT_ALTERNATE_OBJECT_DIRECTORIES="$GIT_ALTERNATE_OBJECT_DIRECTORIES"'
    const run = `input=$(cat); for each in "$PWD/custom_hooks/${name}.d"/*; do test -x "$each" || continue`
    script(
      join(gitaly, name),
      `${run}; printf '%s\\n' "$input" | ${filtered} ${quarantine} "$each" || exit; done`,
    )
  }
  const push = (refspec: string, env: Record<string, string> = {}) =>
    repository.push(refspec, { args: [`--receive-pack=git -c core.hooksPath='${gitaly}' receive-pack`], env })
  repository.mustRun(install(repository, '--identity', 'env:GL_USERNAME', '--host', 'gitlab'))
  expect(repository.server('config', '--get-all', 'receive.denyNonFastForwards')).toBe('false')
  expect(repository.run('git', ['config', 'core.hooksPath'], { cwd: repository.bare }).stdout).toBe('')

  const commit = proved(repository, 'first', push)
  const unproved = repository.commit('second')
  repository.mustRun(push('main'))
  const refused = push(`${unproved}:refs/heads/release`)
  expect(refused.all).toMatch(/remote: headgate: push refused/)
  const onPage = push(`${unproved}:refs/heads/release`, { GL_PROTOCOL: 'web' })
  expect(onPage.all).toMatch(/remote: GL-HOOK-ERR: headgate: push refused/)
  expect(onPage.all).toMatch(/remote: GL-HOOK-ERR: {3}\[evidence\]/)

  expect(repository.mustRun(push(`${commit}:refs/heads/release`)).all).toContain('release is now')
  expect(repository.ledgerSubjects().at(-1)).toContain('landed')

  const doctor = repository.headgate('doctor', repository.bare)
  expect([doctor.code, unwrapped(doctor.stdout)]).toEqual([0, expect.stringContaining('the guard is weaker')])
  repository.mustRun(repository.headgate('server', 'uninstall', repository.bare))
  expect(existsSync(join(repository.bare, 'custom_hooks'))).toBe(false)
})

test('a repository that changes its host leaves no hook behind', () => {
  const repository = unguarded()
  repository.mustRun(install(repository, '--identity', 'env:TEST_PUSHER'))
  expect(existsSync(join(repository.bare, 'hooks/pre-receive'))).toBe(true)
  repository.mustRun(install(repository, '--identity', 'env:TEST_PUSHER', '--host', 'gitlab'))
  expect(existsSync(join(repository.bare, 'hooks/pre-receive'))).toBe(false)
  expect(existsSync(join(repository.bare, 'custom_hooks/pre-receive.d/headgate'))).toBe(true)
  writeFileSync(join(repository.bare, 'custom_hooks/pre-receive.d/headgate'), '#!/bin/sh\n')
  const foreign = install(repository, '--identity', 'env:TEST_PUSHER')
  expect([foreign.code, foreign.stderr]).toEqual([78, expect.stringContaining("is not headgate's")])
})
