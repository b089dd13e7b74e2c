import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { pushWaiting } from '../at-once.ts'
import { lastCommits, releasedTwice } from '../beginnings.ts'
import { TestRepository } from '../make-repository.ts'
import { ledgerRecords } from './attack.ts'

/** What git shows of the server's words: `remote: ` lines without the padding that git adds. */
function remote(text: string): string {
  return text
    .split('\n')
    .filter((line) => line.startsWith('remote: '))
    .map((line) => line.slice('remote: '.length).trimEnd())
    .join('\n')
}

describe.each(['sha1', 'sha256'] as const)('the way of a commit to production (%s)', (objectFormat) => {
  const repository = new TestRepository({ objectFormat })
  afterAll(() => repository.remove())
  const short = (oid: string) => oid.slice(0, 7)
  const release = () => repository.ref('refs/heads/release')

  const first = repository.commit('first feature')

  it('a push to main passes without a word', () => {
    const pushed = repository.mustRun(repository.push('main', { as: 'dev' }))
    expect(remote(pushed.stderr)).toBe('')
  })

  it('a promotion without evidence is refused, and the refusal says what would pass', () => {
    const pushed = repository.push(`${first}:refs/heads/release`)
    expect(pushed.code).not.toBe(0)
    expect(remote(pushed.stderr)).toBe(`headgate: push refused

release: create at ${short(first)}, a promotion by alice
  [evidence]
    there is no staging evidence for ${short(first)}
    fix: deploy ${short(first)} to staging, then run the gates there and record
         the result:
           headgate gate --mode staging --commit ${short(first)} --record --key FILE

git takes or refuses a push as a whole, so nothing was moved.
headgate: verdict 1 refused evidence`)
    expect(release()).toBeNull()
  })

  it('evidence that ssh-keygen alone signed is recorded, once, however it is spaced', () => {
    const envelope = repository.sign(repository.evidencePayload(first), 'ci', 'headgate-evidence')
    repository.mustRun(repository.submit(envelope))
    const again = repository.mustRun(repository.submit(JSON.stringify(JSON.parse(envelope), null, 2)))
    expect(remote(again.stderr)).toContain('that statement is record 2 already')
    expect(repository.ledgerSubjects()).toHaveLength(2)
    expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
  })

  it('the promotion lands by plain git push, and the pusher is told', () => {
    const pushed = repository.mustRun(repository.push(`${first}:refs/heads/release`))
    expect(remote(pushed.stderr)).toBe(
      `headgate: promotion to ${short(first)} authorized, not landed yet, record 3\n` +
        `headgate: release is now ${short(first)}, promotion 1, ledger record 3`,
    )
    expect(release()).toBe(first)
    expect(repository.ledgerSubjects()).toEqual([
      expect.stringMatching(/^policy version 1 applied, by admin /),
      `evidence ${short(first)} passed on staging`,
      `promotion ${short(first)} authorized on release, by alice`,
      `promotion ${short(first)} landed, by alice`,
    ])
  })

  it('evidence and promotion travel in one push; main in the same push does not count', () => {
    const second = repository.commit('second feature')
    const envelope = repository.sign(repository.evidencePayload(second), 'ci', 'headgate-evidence')
    const inbox = repository.inboxRefspec(envelope)
    const early = repository.push(['main', inbox, `${second}:refs/heads/release`])
    expect(early.code).not.toBe(0)
    expect(remote(early.stderr)).toContain('[on-staging]')
    expect(release()).toBe(first)
    repository.mustRun(repository.push('main'))
    repository.mustRun(repository.push([inbox, `${second}:refs/heads/release`]))
    expect(release()).toBe(second)
  })

  it('an approved rollback lands once and not twice, and bars what it left', () => {
    const bad = release() ?? ''
    const unapproved = repository.push(`+${first}:refs/heads/release`)
    expect(unapproved.code).not.toBe(0)
    expect(remote(unapproved.stderr)).toContain('[approval]')
    repository.mustRun(
      repository.submit(
        repository.sign(repository.approvalPayload(bad, first), 'bob', 'headgate-approval'),
        'bob',
      ),
    )
    repository.mustRun(repository.push(`+${first}:refs/heads/release`))
    expect(release()).toBe(first)

    const barred = repository.push(`${bad}:refs/heads/release`)
    expect(barred.code).not.toBe(0)
    expect(remote(barred.stderr)).toContain('[barred]')

    const fix = repository.release('the fix')
    expect(release()).toBe(fix)
    const again = repository.push(`+${first}:refs/heads/release`)
    expect(again.code).not.toBe(0)
    expect(remote(again.stderr)).toContain('[approval]')
    expect(release()).toBe(fix)
  })

  it('a rollback approval that names the very move again is still spent', () => {
    const top = release() ?? ''
    const approval = repository.sign(repository.approvalPayload(top, first), 'bob', 'headgate-approval')
    repository.mustRun(repository.submit(approval, 'bob'))
    repository.mustRun(repository.push(`+${first}:refs/heads/release`))
    repository.prove(top)
    repository.mustRun(repository.push(`${top}:refs/heads/release`))
    const known = repository.mustRun(repository.submit(approval, 'bob'))
    expect(remote(known.stderr)).toMatch(/that statement is record \d+ already/)
    const again = repository.push(`+${first}:refs/heads/release`)
    expect(again.code).not.toBe(0)
    expect(remote(again.stderr)).toContain('has been used')
    expect(release()).toBe(top)
  })

  it('a freeze stops promotions, not rollbacks, and an operator lifts it', () => {
    const commit = repository.commit('during the freeze')
    repository.pushProved(commit)
    const top = release() ?? ''
    const headgate = (...args: string[]) =>
      repository.mustRun(repository.headgate(...args, '--key', repository.key('alice')))
    headgate('freeze', '--reason', 'sale weekend', '--for', '1d')
    const frozen = repository.push(`${commit}:refs/heads/release`)
    expect(frozen.code).not.toBe(0)
    expect(remote(frozen.stderr)).toContain('[frozen]')
    headgate('approve', '--from', top, '--to', first, '--reason', 'back')
    repository.mustRun(repository.push(`+${first}:refs/heads/release`))
    headgate('unfreeze', '--reason', 'over')
    repository.mustRun(repository.push(`${commit}:refs/heads/release`))
    expect(release()).toBe(commit)
  })

  it('a move behind the guard is found at the next push and settled by an operator', () => {
    const before = release() ?? ''
    repository.server('-c', 'core.hooksPath=/dev/null', 'update-ref', 'refs/heads/release', first)
    const commit = repository.commit('after the drift')
    repository.pushProved(commit)
    const drifted = repository.push(`${commit}:refs/heads/release`)
    expect(drifted.code).not.toBe(0)
    expect(remote(drifted.stderr)).toContain('[drift]')
    expect(remote(drifted.stderr)).toContain(short(before))
    repository.mustRun(
      repository.headgate('drift', '--reason', 'disk was restored', '--key', repository.key('alice')),
    )
    repository.mustRun(repository.push(`${commit}:refs/heads/release`))
    expect(release()).toBe(commit)
  })

  it('an override waives the named rule once, loudly', () => {
    const commit = repository.commit('security fix')
    repository.mustRun(repository.push('main'))
    const top = release() ?? ''
    repository.mustRun(
      repository.headgate(
        'override',
        '--from',
        top,
        '--to',
        commit,
        '--waive',
        'evidence',
        '--reason',
        'CVE',
        '--key',
        repository.key('bob'),
      ),
    )
    const pushed = repository.mustRun(repository.push(`${commit}:refs/heads/release`))
    expect(remote(pushed.stderr)).toContain('OVERRIDE signed by bob')
    expect(release()).toBe(commit)
  })

  it('every record is chained to the one before it, and ssh-keygen confirms each seal by hand', () => {
    const publicKey = readFileSync(join(repository.bare, 'headgate', 'seal-key.pub'), 'utf8')
    writeFileSync(join(repository.folder, 'seal_signers'), `server namespaces="headgate-ledger" ${publicKey}`)
    const records = ledgerRecords(repository)
    expect(records).toHaveLength(repository.ledgerSubjects().length)
    for (const { kind: _kind, commit: _commit, predicate: _predicate, seal, ...sealed } of records) {
      const armor = `-----BEGIN SSH SIGNATURE-----\n${seal.match(/.{1,70}/g)?.join('\n')}\n-----END SSH SIGNATURE-----\n`
      writeFileSync(join(repository.folder, 'seal.sig'), armor)
      const args = [
        '-Y',
        'verify',
        '-f',
        'seal_signers',
        '-I',
        'server',
        '-n',
        'headgate-ledger',
        '-s',
        'seal.sig',
      ]
      repository.mustRun(repository.run('ssh-keygen', args, { input: canonicalJson(sealed) }))
    }
    repository.server('fsck', '--strict', '--no-dangling')
  })

  it('git housekeeping passes and changes nothing; local moves of guarded refs do not', () => {
    const top = release()
    const ledger = repository.ref('refs/headgate/ledger')
    repository.git('tag', 'elsewhere', first)
    repository.server('pack-refs', '--all', '--prune')
    repository.server('gc', '-q', '--prune=now')
    const refused = [
      ['update-ref', 'refs/heads/release', first],
      ['update-ref', '-d', 'refs/heads/release'],
      ['update-ref', '-d', 'refs/heads/release', top ?? ''],
      ['branch', '-f', 'release', first],
      ['branch', '-D', 'release'],
      ['update-ref', '-d', 'refs/headgate/ledger'],
      ['update-ref', 'refs/headgate/ledger', 'refs/headgate/ledger~1'],
      ['fetch', '-q', repository.clone, '+refs/tags/elsewhere:refs/heads/release'],
    ]
    for (const args of refused) {
      const ran = repository.run('git', args, { cwd: repository.bare })
      expect(ran.code, args.join(' ')).not.toBe(0)
      expect(ran.stderr).toContain('headgate: refused')
    }
    expect(release()).toBe(top)
    expect(repository.ref('refs/headgate/ledger')).toBe(ledger)
  })
})

describe('an authorization that did not land', () => {
  const repository = new TestRepository({ prepare: releasedTwice })
  afterAll(() => repository.remove())

  it('is settled from the ref by the next push, and spends no approval', async () => {
    const [first = '', second = ''] = lastCommits(repository, 2)
    repository.mustRun(
      repository.submit(
        repository.sign(repository.approvalPayload(second, first), 'bob', 'headgate-approval'),
        'bob',
      ),
    )
    // Another hook refuses: pre-receive has said yes by then.
    const update = join(repository.bare, 'hooks', 'update')
    writeFileSync(update, '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    const failed = repository.push(`+${first}:refs/heads/release`)
    expect(failed.code).not.toBe(0)
    expect(repository.ref('refs/heads/release')).toBe(second)
    rmSync(update)
    const lock = join(repository.bare, 'refs/heads/release.lock')
    writeFileSync(lock, '')
    // What a push says that waits in vain stands in attack-drift.test.ts; this one has the lock given back meanwhile.
    const blocked = pushWaiting(repository, `+${first}:refs/heads/release`, 'alice')
    await blocked.told('headgate: waiting, at most a minute: release is locked')
    expect(repository.ref('refs/heads/release')).toBe(second)
    rmSync(lock)
    repository.mustRun(await blocked.ran)
    expect(repository.ref('refs/heads/release')).toBe(first)
    const subjects = repository.ledgerSubjects()
    expect(subjects.filter((line) => line.includes('did not land'))).toHaveLength(1)
    expect(subjects.at(-1)).toMatch(/^rollback \w+ landed, by \w+$/)
  })
})

describe('eight operators at once', () => {
  const repository = new TestRepository()
  afterAll(() => repository.remove())

  it('race for release: one chain of moves, no lost record, and whoever loses is told to fetch first', async () => {
    const commits = repository.commits(Array.from({ length: 8 }, (_, index) => `candidate ${index}`))
    repository.pushProved(...commits)
    const { spawn } = await import('node:child_process')
    const results = await Promise.all(
      commits.map(
        (commit) =>
          new Promise<{ code: number; text: string }>((resolve) => {
            const child = spawn('git', ['push', 'origin', `${commit}:refs/heads/release`], {
              cwd: repository.clone,
              env: repository.env,
            })
            let text = ''
            child.stderr.on('data', (chunk) => {
              text += chunk
            })
            child.on('close', (code) => resolve({ code: code ?? -1, text }))
          }),
      ),
    )
    expect(results.some(({ code }) => code === 0)).toBe(true)
    for (const { code, text } of results) {
      if (code !== 0) expect(text).toMatch(/fetch first|cannot lock ref|non-fast-forward|not a fast-forward/)
    }
    const landed = repository.ledgerSubjects().filter((line) => / landed, by /.test(line))
    expect(landed.length).toBe(results.filter(({ code }) => code === 0).length)
    const tip = repository.ref('refs/heads/release') ?? ''
    expect(landed.at(-1)).toContain(tip.slice(0, 7))
  })
})
