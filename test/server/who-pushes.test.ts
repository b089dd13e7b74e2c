/** What a pusher is told whom the server cannot name, and one who signs with what headgate does not verify. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { POLICY, TestRepository, unwrapped } from '../make-repository.ts'

/** main has a commit that staging has proved. */
function promotable(repository: TestRepository): void {
  repository.pushProved(repository.commit('work'))
}

function guarded(options: ConstructorParameters<typeof TestRepository>[0]): TestRepository {
  const repository = new TestRepository(options)
  onTestFinished(() => repository.remove())
  return repository
}

function said(text: string): string {
  return text.replace(/^remote: ?/gm, '').replace(/\s+/g, ' ')
}

test.for([
  [
    'push-cert',
    ['git config gpg.format ssh', 'git config user.signingKey FILE.pub', 'git config push.gpgSign if-asked'],
  ],
  ['ssh-auth-info', ['ExposeAuthInfo yes']],
  ['env:REMOTE_USER', ['AuthType', '--identity SOURCE']],
  ['env:HEADGATE_USER', ['environment="HEADGATE_USER=NAME"', 'PermitUserEnvironment HEADGATE_USER']],
  ['env:GL_USER', ['Gitolite']],
] as const)('where names come from %s, the refusal names its way out', ([identity, ways]) => {
  const repository = guarded({ identity, prepare: promotable })
  const refused = repository.push('main:refs/heads/release')
  expect(refused.code).toBe(1)
  expect(said(refused.all)).toContain('the server cannot tell who pushes')
  for (const way of ways) expect(said(refused.all)).toContain(way)
  expect(said(refused.all)).not.toContain('connect in a way that names you')
})

/** git asks no more of gpg than an armored signature and a line of status. */
const GPG = `#!/bin/sh
cat >/dev/null
echo "[GNUPG:] SIG_CREATED D 1 8 00 1700000000 0" >&2
printf -- '-----BEGIN PGP SIGNATURE-----\\n\\niHUEABYKAB0=\\n=abcd\\n-----END PGP SIGNATURE-----\\n'
`

function signsWithOpenPgp(policy = POLICY): TestRepository {
  const repository = guarded({ policy, prepare: promotable })
  const gpg = join(repository.folder, 'gpg')
  writeFileSync(gpg, GPG)
  chmodSync(gpg, 0o755)
  repository.git('config', 'gpg.program', gpg)
  repository.git('config', 'user.signingKey', 'alice')
  repository.git('config', 'push.gpgSign', 'if-asked')
  return repository
}

test('a push that git signs with OpenPGP: the refusal says so, and both ways out work', () => {
  for (const way of ['unsigned', 'ssh']) {
    const repository = signsWithOpenPgp()
    const refused = repository.push('main:refs/heads/release')
    expect(refused.code).toBe(1)
    const words = said(refused.all)
    expect(words).toContain('it is signed with OpenPGP, and headgate verifies SSH signatures alone')
    expect(words).toContain('git config gpg.format ssh')
    expect(words).toContain('git push --no-signed origin COMMIT:refs/heads/release')
    if (way === 'unsigned') {
      const landed = repository.push('main:refs/heads/release', { args: ['--no-signed'] })
      expect(landed.code, landed.all).toBe(0)
    } else {
      repository.git('config', 'gpg.format', 'ssh')
      repository.git('config', 'user.signingKey', repository.key('alice'))
      const landed = repository.push('main:refs/heads/release')
      expect(landed.code, landed.all).toBe(0)
    }
  }
})

test('where the policy requires a signature, only that with SSH is a way out', () => {
  const repository = signsWithOpenPgp(POLICY.replace('signedPush: if-offered', 'signedPush: required'))
  const words = said(repository.push('main:refs/heads/release').all)
  expect(words).toContain('let git sign with an SSH key that allowed_signers lists, not with OpenPGP')
  expect(words).not.toContain('--no-signed')
})

test('check, doctor and promote know that git would sign with OpenPGP', () => {
  const repository = signsWithOpenPgp()
  const check = repository.headgate('check')
  expect(check.code, check.all).toBe(0)
  expect(check.stderr).toContain('git here signs pushes with OpenPGP (push.gpgSign)')
  const push = /git push --no-signed \S+ \S+$/m.exec(check.stdout)?.[0]
  expect(push, check.stdout).toBeDefined()
  const doctor = repository.headgate('doctor')
  expect(unwrapped(doctor.stdout)).toContain(
    'git here signs pushes with OpenPGP, and origin verifies SSH signatures alone',
  )
  expect(doctor.stdout).toContain('git config gpg.format ssh && git config user.signingKey FILE.pub')
  const promoted = repository.headgate('promote', '--yes', '--wait', '1s', '--no-record')
  expect(repository.ref('refs/heads/release'), promoted.all).toBe(repository.git('rev-parse', 'main'))
})
