/** `headgate verify` and `headgate log`, the built program in a clone. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { describe, expect, test } from 'vitest'
import { checkReceipt } from '../../src/audit/receipt.ts'
import { reportOf } from '../../src/audit/report.ts'
import { parseTrustAnchors } from '../../src/audit/trust-anchors.ts'
import { htmlReport } from '../../src/cli/reports/html-report.ts'
import { junitReport } from '../../src/cli/reports/junit-report.ts'
import { sarifReport } from '../../src/cli/reports/sarif-report.ts'
import { Forger, violations } from '../audit/forged-ledger.ts'
import { lastCommits, released, releasedTwice, unproved } from '../beginnings.ts'
import { POLICY, PROGRAM, type Step, type TestRepository } from '../make-repository.ts'
import { application, guarded, headgate, serve } from './run-program.ts'

function sealKey(repository: TestRepository): string {
  return join(repository.bare, 'headgate', 'seal-key.pub')
}

function verifyOnce(repository: TestRepository): void {
  repository.mustRun(repository.headgate('verify'))
}

/** `one` is released, and this clone has verified it. */
const verified: readonly Step[] = [...released, verifyOnce]

function verdict(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? ''
}

/** What an admin can do who goes around the guard. */
function behindTheGuard(repository: TestRepository, ...args: string[]): void {
  repository.server('-c', 'core.hooksPath=/dev/null', ...args)
}

test('a ledger that is in order: exit 0, every check told, one line of verdict', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: releasedTwice })
  const ran = repository.headgate('verify', '--trust', sealKey(repository))
  expect(ran.code).toBe(0)
  expect(ran.stderr).toBe('')
  expect(ran.stdout).toContain('  ok    replay ')
  expect(ran.stdout).not.toContain('as the ledger itself says')
  expect(verdict(ran.stdout)).toMatch(
    /^headgate verify: VERIFIED: git\.example\.com\/app, 7 records \(head [0-9a-f]{12}\), 0 violations, 0 exceptions, 0 notes, /,
  )

  const again = repository.headgate('verify')
  expect(again.code).toBe(0)
  expect(again.stdout).toContain('7 records, 7 of them verified before')
  repository.release('three')
  const more = repository.headgate('verify', '--format', 'json')
  const report = JSON.parse(more.stdout)
  expect(report.records).toEqual({ now: 3, before: 7 })
  expect(report.moves).toHaveLength(1)
  expect(repository.git('for-each-ref', '--format=%(refname)', 'refs/headgate-copies')).toContain(
    'origin/verified',
  )
})

test('a copy of a branch makes room for one that needs its name', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: released })
  const main = repository.git('rev-parse', 'main')
  const copies = 'refs/headgate-copies/origin/heads'
  // As after an audit when the branches were called main/old and release/old/one.
  for (const name of ['main/old', 'release/old/one', 'release/two'])
    repository.git('update-ref', `${copies}/${name}`, main)
  const ran = repository.headgate('verify')
  expect(ran.stderr).toBe('')
  expect(ran.code).toBe(0)
  const names = repository.git('for-each-ref', '--format=%(refname)', copies).split('\n')
  expect(names).toEqual([`${copies}/main`, `${copies}/release`])

  repository.git('update-ref', '-d', `${copies}/main`)
  repository.git('update-ref', '-d', `${copies}/release`)
  repository.git('update-ref', copies, main)
  expect(repository.headgate('verify').code).toBe(0)
  expect(repository.git('for-each-ref', '--format=%(refname)', copies).split('\n')).toEqual(names)
})

test('where nothing can be remembered, what was found is told all the same', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: released })
  // Nobody makes files there.
  symlinkSync('/proc', join(repository.clone, '.git', 'headgate-verified'))
  const ran = repository.headgate('verify')
  expect(ran.code).toBe(0)
  expect(verdict(ran.stdout)).toContain('VERIFIED')
  expect(ran.stderr).toMatch(
    /^headgate: this audit cannot be remembered in \S+origin\.json: ENOENT.*\n {2}what it found stands; /,
  )
})

describe('a ledger that the server changed after it was verified', () => {
  test('rewritten to an earlier state, with the branch: found by the copy here', { timeout: 300_000 }, () => {
    const repository = guarded({ prepare: releasedTwice })
    const one = repository.git('rev-parse', 'HEAD~1')
    // As it was after the first release: the second one added evidence, authorization and outcome.
    const before = repository.ref('refs/headgate/ledger~3') ?? ''
    expect(repository.headgate('verify').code).toBe(0)
    behindTheGuard(repository, 'update-ref', 'refs/headgate/ledger', before)
    behindTheGuard(repository, 'update-ref', 'refs/heads/release', one)
    const ran = repository.headgate('verify')
    expect(ran.code).toBe(65)
    expect(ran.stdout).toContain('violation [copy] record 7')
    expect(ran.stdout.replaceAll(/\n +/g, ' ')).toContain('does not hold what was verified at')
    expect(verdict(ran.stdout)).toContain('LEDGER BROKEN')
    // It is not remembered, and so found again.
    expect(repository.headgate('verify').code).toBe(65)
    expect(repository.headgate('verify', '--full').code).toBe(65)
  })

  test('what is remembered cannot be passed over by damaging it', { timeout: 300_000 }, () => {
    const repository = guarded({ prepare: verified })
    const file = join(repository.clone, '.git', 'headgate-verified', 'origin.json')
    expect(existsSync(file)).toBe(true)
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, 100))
    const ran = repository.headgate('verify')
    expect(ran.code).toBe(65)
    expect(ran.stderr).toContain(`hint: if nobody else can have changed it, remove it`)
  })
})

describe('a ledger that is none', () => {
  const kinds: [string, (repository: TestRepository) => string | null][] = [
    ['a blob', (repository) => object(repository, 'blob', 'x')],
    ['a tag of the ledger', (repository) => tagOf(repository, 'refs/headgate/ledger')],
    ['nothing', () => null],
  ]
  /** The same of whatever else it could be, without a program for each question. */
  const others: [string, (repository: TestRepository) => string][] = [
    ['a tree', (repository) => repository.ref('refs/heads/main^{tree}')!],
    ['a tag of a tree', (repository) => tagOf(repository, 'refs/heads/main^{tree}')],
    ['a commit without a record', (repository) => repository.ref('refs/heads/main')!],
    ['an empty commit', (repository) => emptyCommit(repository)],
  ]

  function object(repository: TestRepository, type: string, body: string): string {
    const git = ['--git-dir', repository.bare, 'hash-object', '-w', '-t', type, '--stdin']
    return execFileSync('git', git, { input: body, encoding: 'utf8' }).trim()
  }

  function tagOf(repository: TestRepository, name: string): string {
    const oid = repository.ref(name)!
    const type = repository.server('cat-file', '-t', oid).trim()
    return object(repository, 'tag', `object ${oid}\ntype ${type}\ntag x\ntagger x <x@x> 1 +0000\n\nx\n`)
  }

  function emptyCommit(repository: TestRepository): string {
    const tree = object(repository, 'tree', '')
    return object(
      repository,
      'commit',
      `tree ${tree}\nauthor x <x@x> 1 +0000\ncommitter x <x@x> 1 +0000\n\nx\n`,
    )
  }

  const whoever = 'not by whoever knows it, not by whoever has a pinned record, not by a stranger'

  test(`is never verified: ${whoever}`, { timeout: 300_000 }, () => {
    const repository = guarded({ prepare: verified })
    const honest = repository.ref('refs/headgate/ledger')!
    const pinned = join(repository.folder, 'pinned')
    writeFileSync(pinned, `record 1 ${'a'.repeat(64)}\n`)
    const stranger = join(repository.folder, 'stranger')
    repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, stranger]))
    const there = (...args: string[]) =>
      repository.run(process.execPath, [PROGRAM, ...args], { cwd: stranger })
    for (const [name, make] of kinds) {
      const file = join(repository.bare, 'refs/headgate/ledger')
      writeFileSync(file, `${honest}\n`)
      const oid = make(repository)
      // git itself would not put a ref where some of these are.
      if (oid === null) rmSync(file)
      else writeFileSync(file, `${oid}\n`)
      const known = repository.headgate('verify')
      expect([name, known.code]).toEqual([name, 65])
      expect(known.stdout).toContain('violation [copy] record 4')
      expect(verdict(known.stdout)).toContain('LEDGER BROKEN')
      const strange = there('verify')
      expect([name, strange.code]).toEqual([name, oid === null ? 78 : 65])
      expect(strange.stdout).not.toContain('  ok ')
      const trusting = there('verify', '--trust', pinned)
      expect([name, trusting.code]).toEqual([name, 65])
      expect(trusting.stdout).toContain('violation [copy] record 1')
      expect(there('verify', '--trust', sealKey(repository)).code).toBe(65)
      if (name === 'a blob') expect([name, there('log').code]).toEqual([name, 65])
    }
    writeFileSync(join(repository.bare, 'refs/headgate/ledger'), `${honest}\n`)
    expect(repository.headgate('verify').code).toBe(0)
  })

  test(`whatever it is, an audit finds it broken: ${whoever}`, async () => {
    const repository = guarded({ prepare: released })
    const forger = await Forger.of(repository)
    const { remember } = await forger.auditHonest()
    const pinned = parseTrustAnchors(`record 1 ${'a'.repeat(64)}\n`)
    const key = parseTrustAnchors(readFileSync(sealKey(repository), 'utf8'))
    const context = { remote: 'origin', now: Date.now(), since: null, unchecked: [], findings: [] }
    for (const [name, make] of others) {
      const tip = make(repository)
      const report = async (options: Parameters<Forger['audit']>[1]) => {
        const audit = await forger.audit(tip, options)
        const { outcome, checks, verdict } = reportOf(audit, context)
        expect([name, outcome]).toEqual([name, 'data'])
        return { named: violations(audit), checks, verdict }
      }
      const known = await report({ remembered: remember })
      expect(known.named, name).toContain('copy@4')
      expect(known.verdict, name).toContain('LEDGER BROKEN')
      const strange = await report({})
      expect(
        strange.checks.filter(({ grade }) => grade === 'ok'),
        name,
      ).toEqual([])
      const trusting = await report({ anchors: pinned })
      expect(trusting.named, name).toContain('copy@1')
      await report({ anchors: key })
    }
  })

  test('a pinned record that is not in the ledger, and one that is there with another hash', () => {
    const repository = guarded({ prepare: released })
    const file = join(repository.folder, 'pinned')
    const verify = (text: string) => {
      writeFileSync(file, text)
      return repository.headgate('verify', '--trust', file)
    }
    const { head } = JSON.parse(repository.headgate('verify', '--format', 'json').stdout)
    expect(verify(`record ${head.seq} ${head.hash}\n`).code).toBe(0)
    for (const seq of [1, head.seq + 1]) {
      const ran = verify(`record ${seq} ${head.hash}\n`)
      expect(ran.code).toBe(65)
      expect(ran.stdout).toContain(`violation [copy] record ${seq}`)
    }
    const twice = `record 1 ${'a'.repeat(64)}\nrecord 1 ${head.hash}\n`
    expect(() => parseTrustAnchors(twice)).toThrow(
      expect.objectContaining({
        code: 'configuration',
        message: expect.stringContaining('line 2: record 1 has another hash above'),
      }),
    )
  })

  test('one commit that the ledger says nothing about', () => {
    const repository = guarded({ prepare: released })
    const ran = repository.headgate('verify', '--commit', 'a'.repeat(40))
    expect(ran.code).toBe(77)
    expect(ran.stderr).toContain('the ledger says nothing about aaaa')
    expect(ran.stdout).toBe('')
  })
})

describe('what was not checked is said, in every format', () => {
  test('a first audit without a seal key, and one that goes on from there', { timeout: 300_000 }, () => {
    const repository = guarded({ prepare: released })
    const clone = (name: string) => {
      const folder = join(repository.folder, name)
      repository.mustRun(repository.run('git', ['clone', '-q', repository.bare, folder]))
      return (...args: string[]) =>
        repository.run(process.execPath, [PROGRAM, 'verify', ...args], { cwd: folder })
    }
    const open = ['copy', 'seal', 'served']
    const again = clone('again')
    const text = again()
    for (const rule of open) expect(text.stdout).toMatch(new RegExp(`^  -     ${rule} +not checked$`, 'm'))
    expect(verdict(text.stdout)).toContain('not checked: copy, seal, served, ')
    // The other forms are made of what JSON says, whole.
    const json = JSON.parse(clone('json')('--format', 'json').stdout)
    const unchecked = json.checks.filter(({ grade }: any) => grade === 'unchecked')
    expect(unchecked.map(({ rule }: any) => rule)).toEqual(open)
    const junit = new XMLParser({ ignoreAttributes: false }).parse(junitReport(json))
    expect(junit.testsuites['@_skipped']).toBe('3')
    const skipped = junit.testsuites.testsuite.testcase.filter((one: any) => one.skipped !== undefined)
    expect(skipped.map((one: any) => one['@_name'].split(':')[0])).toEqual(open)
    const [sarif] = JSON.parse(sarifReport(json)).runs
    const told = sarif.invocations[0].toolExecutionNotifications
    expect(told.map(({ associatedRule }: any) => associatedRule.id)).toEqual(
      open.map((id) => `headgate/${id}`),
    )
    expect(htmlReport(json).match(/<tr class="unchecked">/g)).toHaveLength(3)

    expect(verdict(again().stdout)).toContain('not checked: seal, served, ')
    expect(verdict(again('--trust', sealKey(repository)).stdout)).toContain('not checked: served, ')
    // Who vouched once need not do it again.
    expect(verdict(again().stdout)).toContain('not checked: served, ')
    expect(verdict(again('--offline').stdout)).toContain(
      'not checked: release-ref, staging-ref, release-log, served, ',
    )
  })

  test('a production that nobody can ask is not served by anything', { timeout: 300_000 }, () => {
    const repository = guarded({
      prepare: released,
      policy: POLICY.replace(/\n {2}production:[\s\S]*/, '\n'),
    })
    const ran = repository.headgate('verify', '--served')
    expect(ran.stdout).toMatch(/^ {2}- {5}served +not checked$/m)
    expect(ran.stdout).not.toContain('  ok    served')
  })

  test('a receipt', () => {
    const repository = guarded({ prepare: released })
    const file = join(repository.folder, 'receipt.json')
    writeFileSync(file, repository.headgate('log', '--receipt', '3').stdout)
    const check = (...args: string[]) =>
      repository.headgate('verify', '--receipt', file, '--trust', sealKey(repository), ...args)
    expect(check().stdout).toContain('  not checked: copy: ')
    expect(JSON.parse(check('--format', 'json').stdout).unchecked[0]).toMatch(/^copy: /)
    expect(check('--format', 'sarif').code).toBe(64)
  })
})

test('a copy of the ledger that a power failure left empty: what it is, and the way out', () => {
  const repository = guarded({ prepare: verified })
  writeFileSync(join(repository.clone, '.git/refs/headgate-copies/origin/ledger'), '')
  for (const args of [['verify'], ['verify', '--offline'], ['status']]) {
    const ran = repository.headgate(...args)
    expect(ran.stderr).toMatch(
      /^headgate: refs\/headgate-copies\/origin\/ledger, a copy of what the remote has, is damaged in this clone\n {2}hint: .*: rm \//,
    )
    expect(ran.code).toBe(65)
  }
  const { stderr } = repository.headgate('verify')
  repository.mustRun(repository.run('sh', ['-c', stderr.slice(stderr.indexOf('rm /'))]))
  expect(repository.headgate('verify').code).toBe(0)
})

test('a release that was moved behind the guard: exit 77, with what to do', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: releasedTwice })
  const one = repository.git('rev-parse', 'HEAD~1')
  behindTheGuard(repository, 'update-ref', 'refs/heads/release', one)
  const ran = repository.headgate('verify')
  expect(ran.code).toBe(77)
  expect(ran.stdout).toContain('violation [release-ref] record 6')
  expect(ran.stdout).toContain('headgate drift --reason TEXT --key FILE')
  expect(verdict(ran.stdout)).toContain('RULES BROKEN')
  expect(verdict(ran.stdout)).toContain('1 violation,')
  // What is older than a date is neither listed nor judged, and every format says so.
  const said = 'since 2999-01-01T00:00:00.000Z only: 1 older violation not judged, '
  const later = repository.headgate('verify', '--since', '2999-01-01')
  expect([later.code, verdict(later.stdout)]).toEqual([0, expect.stringContaining(said)])
  const json = JSON.parse(repository.headgate('verify', '--since', '2999-01-01', '--format', 'json').stdout)
  expect(json).toMatchObject({ outcome: 'ok', earlier: { violations: 1, exceptions: 0, notes: 0 } })
  expect(json.verdict).toContain(said)
  const [run] = JSON.parse(sarifReport(json)).runs
  expect(run.properties).toMatchObject({ since: '2999-01-01T00:00:00.000Z', earlier: { violations: 1 } })
  for (const form of [sarifReport, junitReport, htmlReport]) expect(form(json)).toContain(said)
  const all = repository.headgate('verify', '--since', '2020-01-01')
  expect(all.code).toBe(77)
  expect(verdict(all.stdout)).toContain(
    'since 2020-01-01T00:00:00.000Z only: 0 older violations not judged, ',
  )
})

test('a release log that is too large to be read is a finding of the report', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: released })
  repository.commit('a long log', { 'docs/RELEASE_LOG.md': `${'x'.repeat(63)}\n`.repeat(33 * 16 * 1024) })
  behindTheGuard(repository, 'fetch', '-q', repository.clone, 'main:main')
  const ran = repository.headgate('verify', '--format', 'json')
  expect(ran.code, ran.stderr).toBe(77)
  const { findings } = JSON.parse(ran.stdout)
  expect(findings).toContainEqual(
    expect.objectContaining({
      grade: 'violation',
      rule: 'release-log',
      found: expect.stringContaining(
        'has 34603008 bytes, and up to 33554432 are read: its entries were not compared',
      ),
    }),
  )
})

test('another seal key than the trusted one: exit 65', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: released })
  const other = join(repository.folder, 'other.pub')
  writeFileSync(other, readFileSync(`${repository.key('mallory')}.pub`))
  const ran = repository.headgate('verify', '--trust', other)
  expect(ran.code).toBe(65)
  expect(ran.stdout).toContain('violation [seal] record 1')
  expect(ran.stdout.replaceAll(/\n +/g, ' ')).toContain("the server's key is SHA256:")
  // The last line is for programs, too.
  for (const line of ran.stdout.trimEnd().split('\n').slice(0, -1))
    expect(line.length).toBeLessThanOrEqual(80)
})

test('exceptions do not fail it, and are told each time', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: unproved })
  const [one = '', two = ''] = lastCommits(repository, 2)
  const override = repository.overridePayload(one, two, ['evidence'], 'CVE \u001b[31mfix')
  repository.mustRun(repository.submit(repository.sign(override, 'alice', 'headgate-approval'), 'alice'))
  repository.mustRun(repository.push(`${two}:refs/heads/release`))
  for (let run = 0; run < 2; run++) {
    const ran = repository.headgate('verify')
    expect(ran.code).toBe(0)
    expect(ran.stdout).toContain('exception [override] record 6')
    expect(ran.stdout).not.toContain('no rule was waived')
    expect(ran.stdout).toContain('OVERRIDE by alice (record 5) waived evidence: CVE \\x1b[31mfix')
    expect(verdict(ran.stdout)).toContain('0 violations, 1 exception')
  }
  const later = repository.headgate('verify', '--since', '2999-01-01')
  expect(verdict(later.stdout)).toContain('0 exceptions')
})

describe('formats', () => {
  test('SARIF, JUnit and HTML of one audit', { timeout: 300_000 }, () => {
    const repository = guarded({ prepare: released })
    const two = repository.release('<b>two</b>')
    behindTheGuard(repository, 'update-ref', 'refs/heads/release', repository.ref('refs/heads/main~1') ?? '')

    const sarif = repository.headgate('verify', '--format', 'sarif')
    expect(sarif.code).toBe(77)
    const [run] = JSON.parse(sarif.stdout).runs
    expect(run.results).toHaveLength(1)
    expect(run.results[0]).toMatchObject({ ruleId: 'headgate/release-ref', level: 'error' })
    expect(run.tool.driver.rules[run.results[0].ruleIndex].id).toBe('headgate/release-ref')

    const junit = repository.headgate('verify', '--format', 'junit').stdout
    expect(XMLValidator.validate(junit)).toBe(true)
    const suite = new XMLParser({ ignoreAttributes: false }).parse(junit).testsuites
    expect(suite['@_failures']).toBe('1')

    const html = repository.headgate('verify', '--format', 'html').stdout
    expect(html).toContain('<svg')
    expect(html).toContain('Rules were broken')
    expect(html).toContain(two.slice(0, 7))
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3)|src=|@import|url\(/)
  })
})

describe('one commit', () => {
  test('everything about it, without the rest', { timeout: 300_000 }, () => {
    const repository = guarded({ prepare: releasedTwice })
    const one = repository.git('rev-parse', 'HEAD~1')
    const ran = repository.headgate('verify', '--commit', one.slice(0, 10), '--trust', sealKey(repository))
    expect(ran.code).toBe(0)
    expect(ran.stdout).toMatch(/^2 +\S+ +evidence +ci +ci@example\.com$/m)
    expect(ran.stdout).toMatch(/^3 +\S+ +authorization +alice +server$/m)
    expect(verdict(ran.stdout)).toContain('3 of 7 records')
  })
})

describe('where it cannot be told', () => {
  test('a remote that cannot be reached, a clone without a copy, a date that is none', {
    timeout: 300_000,
  }, () => {
    const repository = guarded({ prepare: released })
    expect(repository.headgate('verify', '--offline').code).toBe(78)
    expect(repository.headgate('verify', '--since', 'yesterday').code).toBe(64)
    expect(repository.headgate('verify', '--trust', '/nonexistent').code).toBe(64)
    repository.git('remote', 'set-url', 'origin', join(repository.folder, 'gone.git'))
    expect(repository.headgate('verify').code).toBe(69)
  })

  test('offline, it uses what was fetched; in the repository itself, its own refs', {
    timeout: 300_000,
  }, () => {
    const repository = guarded({ prepare: verified })
    repository.git('remote', 'set-url', 'origin', join(repository.folder, 'gone.git'))
    expect(repository.headgate('verify', '--offline', '--full').code).toBe(0)
    const program = join(import.meta.dirname, '..', '..', 'dist', 'headgate.js')
    const own = repository.run(process.execPath, [program, 'verify', '--offline'], { cwd: repository.bare })
    expect(own.all).toContain('VERIFIED')
    expect(own.code).toBe(0)
  })
})

test('a shallow clone gets the history that it lacks, and cannot tell without', { timeout: 300_000 }, () => {
  const repository = guarded({ prepare: releasedTwice })
  const clone = join(repository.folder, 'shallow')
  const url = `file://${repository.bare}`
  repository.mustRun(repository.run('git', ['clone', '-q', '--depth', '1', url, clone]))
  const verify = (...args: string[]) =>
    repository.run(process.execPath, [PROGRAM, 'verify', ...args], { cwd: clone })
  const offline = () => verify('--offline')
  repository.mustRun(
    repository.run('git', ['fetch', '-q', url, '+refs/headgate/ledger:refs/headgate-copies/origin/ledger'], {
      cwd: clone,
    }),
  )
  const blind = offline()
  expect(blind.code).toBe(69)
  expect(blind.stderr).toContain('git fetch --unshallow origin')
  const ran = verify()
  expect(verdict(ran.stdout)).toContain('VERIFIED')
  expect(ran.code).toBe(0)
  expect(offline().code).toBe(0)
})

test('a partial clone that lacks what must be read says so', { timeout: 300_000 }, () => {
  const repository = guarded()
  const log = (lines: string) => ({ 'docs/RELEASE_LOG.md': lines })
  for (const lines of ['one\n', 'one\ntwo\n', 'one\ntwo\nthree\n']) repository.commit('log', log(lines))
  repository.release('done')
  repository.server('config', 'uploadpack.allowFilter', 'true')
  const clone = join(repository.folder, 'partial')
  const url = `file://${repository.bare}`
  repository.mustRun(repository.run('git', ['clone', '-q', '--filter=blob:none', url, clone]))
  const ran = repository.run(process.execPath, [PROGRAM, 'verify'], { cwd: clone })
  expect(ran.code).toBe(69)
  expect(ran.stderr).toContain('git fetch --refetch --no-filter')
  repository.mustRun(repository.run('git', ['fetch', '-q', '--refetch', '--no-filter'], { cwd: clone }))
  expect(repository.run(process.execPath, [PROGRAM, 'verify'], { cwd: clone }).code).toBe(0)
})

test('production serves the release, or something else', { timeout: 300_000 }, async () => {
  let served = ''
  const url = await serve(application(() => served))
  const policy = POLICY.replaceAll('http://127.0.0.1:9', url)
  const repository = guarded({ policy })
  const one = repository.release('one')
  served = one
  const unnamed = await headgate(repository, ['verify', '--served'])
  expect([unnamed.code, unnamed.stderr]).toEqual([78, expect.stringContaining(`headgate.allowHost ${url}`)])
  repository.git('config', '--global', 'headgate.allowHost', url)
  const good = await headgate(repository, ['verify', '--served'])
  expect(good.stdout).toContain('  ok    served ')
  expect(good.code).toBe(0)
  served = repository.ref('refs/heads/main~1') ?? ''
  const bad = await headgate(repository, ['verify', '--served'])
  expect(bad.code).toBe(77)
  expect(bad.stdout).toContain(
    `production serves ${served.slice(0, 7)}, and the landed release is ${one.slice(0, 7)}`,
  )
})

describe('headgate log', () => {
  test('lists moves, filters them, exports statements that ssh-keygen confirms, and makes receipts', {
    timeout: 90_000,
  }, async () => {
    const repository = guarded({ prepare: releasedTwice })
    const [one = '', two = ''] = lastCommits(repository, 2)
    repository.mustRun(
      repository.submit(
        repository.sign(repository.approvalPayload(two, one), 'bob', 'headgate-approval'),
        'bob',
      ),
    )
    repository.mustRun(
      repository.push(`${one}:refs/heads/release`, {
        as: 'bob',
        args: [`--force-with-lease=release:${two}`],
      }),
    )
    const listed = repository.headgate('log').stdout.trimEnd().split('\n')
    expect(listed).toHaveLength(5)
    expect(listed[3]).toMatch(/^9 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ +rollback +\w{7} -> \w{7} +bob$/)
    expect(listed[4]).toBe('  approved by bob')
    for (const line of listed) expect(line.length).toBeLessThanOrEqual(80)
    expect(
      JSON.parse(repository.headgate('log', '--format', 'json', '--by', 'alice').stdout).moves,
    ).toHaveLength(2)
    expect(JSON.parse(repository.headgate('log', one, '--format', 'json').stdout).moves).toHaveLength(3)
    expect(repository.headgate('log', '--kind', 'rollback', '--format', 'md').stdout).toContain('| 9 |')
    expect(repository.headgate('log', '--limit', '1').stderr).toContain('2 earlier ones are not listed')

    const bundle = repository.headgate('log', '--export', one).stdout
    const envelopes = bundle
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const [evidence] = envelopes
    expect(envelopes).toHaveLength(6)
    expect(JSON.parse(Buffer.from(evidence.payload, 'base64').toString()).subject[0].digest.gitCommit).toBe(
      one,
    )
    const payload = Buffer.from(evidence.payload, 'base64')
    const armor = `-----BEGIN SSH SIGNATURE-----\n${evidence.signatures[0].sig}\n-----END SSH SIGNATURE-----\n`
    writeFileSync(join(repository.folder, 'sig'), armor)
    execFileSync(
      'ssh-keygen',
      [
        ...['-Y', 'verify', '-f', join(repository.policyFolder, 'allowed_signers'), '-I', 'ci@example.com'],
        ...['-n', 'headgate-evidence', '-s', join(repository.folder, 'sig')],
      ],
      {
        input: Buffer.concat([Buffer.from(`DSSEv1 28 ${evidence.payloadType} ${payload.length} `), payload]),
      },
    )

    const receipt = repository.headgate('log', '--receipt', '9').stdout
    const file = join(repository.folder, 'receipt.json')
    const check = (text: string) => {
      writeFileSync(file, text)
      return repository.headgate('verify', '--receipt', file, '--trust', sealKey(repository))
    }
    const good = check(receipt)
    expect(good.code).toBe(0)
    expect(good.stdout).toContain('rests on approval by bob (SHA256:')
    expect(check(receipt.replace('"by\\":\\"bob', '"by\\":\\"eve')).code).toBe(65)
    const trusted = parseTrustAnchors(readFileSync(sealKey(repository), 'utf8'))
    expect(await checkReceipt(Buffer.from(receipt), trusted)).toMatchObject({ kind: 'rollback' })
    const parsed = JSON.parse(receipt)
    for (const change of [
      () => parsed.records.splice(0, 1),
      () => parsed.objects.splice(1, 1),
      () => (parsed.authorization = 2),
      () => (parsed.head.seq += 1),
    ]) {
      Object.assign(parsed, JSON.parse(receipt))
      change()
      await expect(checkReceipt(Buffer.from(JSON.stringify(parsed)), trusted)).rejects.toMatchObject({
        code: 'data',
      })
    }
    expect(repository.headgate('log', '--receipt', '2').code).toBe(64)
    expect(repository.headgate('verify', '--receipt', file).code).toBe(78)
  })
})
