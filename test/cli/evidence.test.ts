import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readJunitFiles } from '../../src/app/statements/junit.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { ahead } from '../beginnings.ts'
import { PROGRAM } from '../make-repository.ts'
import { guarded } from './run-program.ts'

function junit(cases: string): string {
  return `<?xml version="1.0"?>\n<testsuites><testsuite name="s"><testsuite>${cases}</testsuite></testsuite></testsuites>\n`
}

test('results by name permit a promotion when they cover the required gates and the served commit', () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const key = ['--key', repository.key('ci')]

  const partial = repository.headgate(
    'evidence',
    'add',
    '--commit',
    'HEAD',
    '--passed',
    'health',
    'chatt',
    ...key,
  )
  expect(partial.stdout).toBe(`WARNED evidence for ${commit.slice(0, 7)} on staging is recorded on origin\n`)
  expect(partial.stderr).toBe(
    'remark: the policy has no such gates: chatt\n' +
      'remark: it permits no promotion, for required gates are missing or skipped: chat\n' +
      'remark: it permits no promotion without --served-commit, which the policy requires\n',
  )
  expect(partial.code).toBe(0)
  expect(repository.push(`${commit}:refs/heads/release`).code).toBe(1)

  const whole = repository.headgate(
    ...['evidence', 'add', '--commit', commit, '--passed', 'health', 'chat', '--served-commit', commit],
    ...['--ci-url', 'https://ci.example.com/7', ...key],
  )
  expect(whole).toMatchObject({ stderr: '', code: 0 })
  expect(whole.stdout).toBe(`PASSED evidence for ${commit.slice(0, 7)} on staging is recorded on origin\n`)
  const landed = repository.push(`${commit}:refs/heads/release`)
  expect(landed.code, landed.all).toBe(0)
})

test('JUnit files: a case is a gate, failures and skips count', () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const file = join(repository.folder, 'results.xml')
  const add = (cases: string) => {
    writeFileSync(file, junit(cases))
    return repository.headgate(
      ...['evidence', 'add', '--commit', commit, '--junit', file, '--served-commit', commit],
      ...['--key', repository.key('ci')],
    )
  }

  const skipped = add('<testcase name="health"/><testcase name="chat"><skipped/></testcase>')
  expect(skipped.stdout).toMatch(/^WARNED /)
  expect(skipped.stderr).toBe(
    'remark: it permits no promotion, for required gates are missing or skipped: chat\n',
  )
  expect(repository.push(`${commit}:refs/heads/release`).all).toContain('[evidence]')

  const failed = add(
    '<testcase name="health"/><testcase name="chat"><failure message="x">trace</failure></testcase>',
  )
  expect(failed).toMatchObject({ stderr: '', code: 0 })
  expect(failed.stdout).toMatch(/^FAILED /)

  const twice = add(
    '<testcase name="health"/><testcase name="health"><error/></testcase><testcase name="chat"/>',
  )
  expect(twice.stdout).toMatch(/^FAILED /)

  const good = add(
    '<testcase name="health"/><testcase name="chat"/><testcase name="a &amp; b"><skipped/></testcase>',
  )
  expect(good.stdout).toMatch(/^PASSED /)
  expect(good.stderr).toBe('remark: the policy has no such gates: a & b\n')
  expect(repository.push(`${commit}:refs/heads/release`).code).toBe(0)

  const listed = repository.headgate('evidence', 'list', commit)
  expect(listed.stdout.split('\n')[0]).toMatch(/^record {2}result {2}environment {2}URL +age +by +gates$/)
  expect(
    listed.stdout
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split(/ {2,}/).at(1)),
  ).toEqual(['WARNED', 'FAILED', 'FAILED', 'PASSED'])
})

/** What is read from a report, told as names that begin with their outcome. */
const READ: [title: string, report: string, results: string[]][] = [
  [
    'quotes web pages',
    '<testsuite><!-- <!DOCTYPE x> --><testcase name="a"><failure><![CDATA[<!DOCTYPE html>]]></failure></testcase></testsuite>',
    ['failed a'],
  ],
  [
    'says at its top that more went wrong',
    '<testsuites name="all" errors="1"><testsuite><testcase name="a"/></testsuite></testsuites>',
    ['passed a', 'failed suite all'],
  ],
  [
    'has a namespace',
    '<j:testsuite xmlns:j="x"><j:testcase name="a"><j:failure/></j:testcase></j:testsuite>',
    ['failed a'],
  ],
  [
    'holds what looks like cases in what was printed',
    '<testsuite><system-out><testcase name="b"/></system-out><testcase name="a"/></testsuite>',
    ['passed a'],
  ],
  [
    'has cases that were stopped',
    '<testsuite><testcase name="a" status="aborted"/><testcase name="b" result="timed out"/></testsuite>',
    ['skipped a', 'failed b'],
  ],
]

/** A file of the test with this text. */
function fileOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-junit-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'results.xml')
  writeFileSync(file, text)
  return file
}

test.each(READ)('a JUnit file that %s', (_, report, results) => {
  expect(readJunitFiles([fileOf(report)]).cases.map(({ name, outcome }) => `${outcome} ${name}`)).toEqual(
    results,
  )
})

const UNREADABLE: [what: string, text: string, message: RegExp][] = [
  [
    'suites in suites without end',
    '<testsuite>'.repeat(300) + '</testsuite>'.repeat(300),
    /results\.xml:1: not built like a test report/,
  ],
  [
    'a name that JavaScript would stumble over',
    '<testsuite><__proto__/></testsuite>',
    /results\.xml has no <testcase> with a name/,
  ],
  ['not XML', '<testsuite><testcase name="a"></testsuite>', /results\.xml:1: not well-formed XML: .+/],
  ['no case', '<testsuite/>', /results\.xml has no <testcase> with a name/],
  [
    'a case without a name',
    '<testsuite><testcase/></testsuite>',
    /results\.xml has no <testcase> with a name/,
  ],
  [
    'an entity bomb',
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><t><testcase name="&b;"/></t>',
    /results\.xml:1 has a document type/,
  ],
  ['an empty file', '', /results\.xml.+/],
]

test.each(UNREADABLE)('a JUnit file with %s is a clear error', (_, text, message) => {
  let error: unknown
  try {
    readJunitFiles([fileOf(text)])
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(HeadgateError)
  expect(error).toMatchObject({
    code: 'data',
    message: expect.stringMatching(new RegExp(`${message.source}$`)),
    hint: expect.stringMatching(/^.+$/),
  })
})

test('of a JUnit file that cannot be read nothing is recorded: exit 65', () => {
  const repository = guarded()
  const subjects = repository.ledgerSubjects()
  const [, text, message] = UNREADABLE.find(([what]) => what === 'an entity bomb')!
  const ran = repository.headgate(
    ...['evidence', 'add', '--commit', 'HEAD', '--junit', fileOf(text), '--key', repository.key('ci')],
  )
  expect(ran.stderr).toMatch(new RegExp(`^headgate: .*${message.source}\\n {2}hint: .+\\n$`))
  expect(ran.stdout).toBe('')
  expect(ran.code).toBe(65)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('calls that make no sense are usage errors, and nothing is recorded', () => {
  const repository = guarded()
  const subjects = repository.ledgerSubjects()
  const key = ['--key', repository.key('ci')]
  const add = (...args: string[]) => {
    const ran = repository.headgate('evidence', 'add', '--commit', 'HEAD', ...args)
    expect(ran.stdout).toBe('')
    return `${ran.stderr}exit ${ran.code}`
  }
  expect(add(...key)).toBe(
    'headgate: there is no result to record\n  hint: name gates with --passed NAME..., or files with --junit FILE...\nexit 64',
  )
  expect(add('--passed', 'a', '--failed', 'a', ...key)).toBe(
    'headgate: gate "a" is reported twice\n  hint: a gate has one result: name it in one of --passed, --failed and --junit\nexit 64',
  )
  expect(add('--passed', 'a', '--served-commit', 'abc1234', ...key)).toBe(
    'headgate: --served-commit must be a full commit id\n  hint: git rev-parse COMMIT prints it\nexit 64',
  )
  expect(add('--junit', 'none.xml', ...key)).toBe(
    'headgate: none.xml cannot be read\n  hint: --junit takes files of a test report in the format JUnit XML\nexit 64',
  )
  expect(add('--passed', 'a')).toContain('headgate: no key to sign with\n')
  const leak = add('--passed', 'a', '--ci-url', 'https://u:hunter2@ci.example.com/7', ...key)
  expect(leak).toMatch(
    /^headgate: --ci-url must not carry a user name or password: .+\n {2}hint: .+\nexit 64$/,
  )
  expect(leak).not.toContain('hunter2')
  expect(add('--passed', 'a', '--ci-url', 'javascript:alert(1)', ...key)).toContain(
    'headgate: --ci-url is no http or https URL of at most 2048 characters\n',
  )
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('invalidation takes the evidence back, by whichever role the key has', () => {
  const repository = guarded()
  const roles = [['ci', '--as', 'evidence'], ['alice', '--as', 'approval'], ['ci'], ['alice']] as const
  const commits = repository.commits(roles.map((role) => role.join(' ')))
  repository.pushProved(...commits)
  for (const [index, [key, ...as]] of roles.entries()) {
    const commit = commits[index]!
    const ran = repository.headgate(
      ...[
        'evidence',
        'invalidate',
        commit,
        '--reason',
        'wrong database',
        '--key',
        repository.key(key),
        ...as,
      ],
    )
    expect(ran.stdout).toBe(`the evidence for ${commit.slice(0, 7)} is invalidated on origin\n`)
    expect(ran).toMatchObject({ stderr: '', code: 0 })
    const push = repository.push(`${commit}:refs/heads/release`)
    expect(push.all).toContain('wrong database')
    expect(push.code).toBe(1)
  }
  expect(repository.headgate('evidence', 'list', 'HEAD').stdout).toContain('  invalidated  -')
})

test('a list of nothing says so', () => {
  const repository = guarded()
  const short = repository.git('rev-parse', '--short=7', 'HEAD')
  const ran = repository.headgate('evidence', 'list')
  expect(ran).toMatchObject({ stdout: `there is no evidence for ${short} on origin\n`, stderr: '', code: 0 })
  expect(JSON.parse(repository.headgate('evidence', 'list', '--json').stdout)).toEqual({
    commit: repository.git('rev-parse', 'HEAD'),
    evidence: [],
  })
})

test('what others wrote into the ledger reaches the terminal without control characters', () => {
  const repository = guarded()
  const commit = repository.git('rev-parse', 'HEAD')
  repository.mustRun(
    repository.headgate(
      ...[
        'evidence',
        'invalidate',
        commit,
        '--reason',
        'a\x1b[31mred\x07\nsecond',
        '--key',
        repository.key('ci'),
      ],
    ),
  )
  const { stdout } = repository.headgate('evidence', 'list')
  expect(stdout).toContain('a\\x1b[31mred\\x07\\x0asecond')
})

test('a statement leaves no file behind, neither in the temporary folder nor as a ref', () => {
  const repository = guarded()
  const temporary = join(repository.folder, 'tmp')
  repository.mustRun(repository.run('mkdir', [temporary]))
  const refs = () => repository.git('for-each-ref', '--format=%(refname)')
  const run = (key: string) =>
    repository.run(
      process.execPath,
      [PROGRAM, 'evidence', 'add', '--commit', 'HEAD', '--passed', 'health', '--key', repository.key(key)],
      { cwd: repository.clone, env: { TMPDIR: temporary } },
    )
  const before = refs()
  expect(run('ci').code).toBe(0)
  expect(run('mallory').code).toBe(77)
  expect(readdirSync(temporary)).toEqual([])
  expect(
    refs()
      .split('\n')
      .filter((name) => !before.split('\n').includes(name)),
  ).toEqual([])
  expect(repository.server('for-each-ref', 'refs/headgate/inbox')).toBe('')
})

// What becomes of a run with such a case, one without: above, by the program.
test.each([
  ['a status that says so', '<testcase name="health"/><testcase name="chat" status="notrun"/>', 'skipped'],
  [
    'a result that says so',
    '<testcase name="health"/><testcase name="chat" result="suppressed"/>',
    'skipped',
  ],
  ['a failure in an attribute', '<testcase name="health"/><testcase name="chat" status="failed"/>', 'failed'],
  [
    'a suite that broke',
    '<testsuite name="x"><error/></testsuite><testcase name="health"/><testcase name="chat"/>',
    'failed',
  ],
  [
    'a suite with more errors than cases show',
    '<testsuite name="x" errors="1"><testcase name="health"/></testsuite><testcase name="chat"/>',
    'failed',
  ],
  [
    'a suite that counts right',
    '<testsuite name="x" tests="1" errors="0" failures="0"><testcase name="health" status="run" result="completed"/></testsuite><testcase name="chat"/>',
    'passed',
  ],
] as const)('JUnit files: %s', (_, cases, worst) => {
  const outcomes = readJunitFiles([fileOf(junit(cases))]).cases.map(({ outcome }) => outcome)
  expect((['failed', 'skipped', 'passed'] as const).find((outcome) => outcomes.includes(outcome))).toBe(worst)
})

test('the report of a whole test suite: its gates are recorded, and what failed', () => {
  const repository = guarded()
  const head = repository.git('rev-parse', 'HEAD')
  const file = join(repository.folder, 'results.xml')
  const add = (cases: string) => {
    writeFileSync(file, junit(cases))
    return repository.headgate(
      ...['evidence', 'add', '--commit', head, '--junit', file, '--served-commit', head],
      ...['--key', repository.key('ci')],
    )
  }
  const gates = '<testcase name="health"/><testcase name="chat"/>'
  const many = Array.from({ length: 5000 }, (_, at) => `<testcase name="case ${at}"/>`).join('')
  const good = add(gates + many)
  expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/^PASSED /) })
  expect(good.stderr).toBe('remark: 5000 results that no gate of the policy has the name of are left out\n')
  const bad = add(`${gates}${many}<testcase name="${'x'.repeat(900)}"><failure/></testcase>`)
  expect(bad).toMatchObject({ code: 0, stdout: expect.stringMatching(/^FAILED /) })
})

test('added evidence says where it was made: what is named, else the one place of the environment', () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const add = (...args: string[]) =>
    repository.headgate(
      ...['evidence', 'add', '--commit', commit, '--passed', 'health', 'chat', '--served-commit', commit],
      ...['--key', repository.key('ci'), ...args],
    )
  expect(add('--url', 'https://user:hunter2@x').stderr).toMatch(
    /^headgate: --url: the base URL must not carry/,
  )
  expect(add()).toMatchObject({ code: 0, stderr: '' })
  const elsewhere = add('--url', 'http://127.0.0.1:8/')
  expect(elsewhere.stderr).toContain(
    'remark: this run will not count: staging is at http://127.0.0.1:9 in the policy;',
  )
  repository.allowUrl('http://127.0.0.1:8')
  const several = add('--json')
  expect(JSON.parse(several.stdout)).toMatchObject({ url: null })
  expect(several.stderr).toContain(
    'remark: it does not say where it was made; name that with --url: http://127.0.0.1:9, http://127.0.0.1:8',
  )
  expect(JSON.parse(add('--json', '--url', 'HTTP://127.0.0.1:8').stdout).url).toBe('http://127.0.0.1:8')
  const { evidence } = JSON.parse(repository.headgate('evidence', 'list', commit, '--json').stdout)
  expect(evidence.map(({ url }: { url: string | null }) => url)).toEqual([
    'http://127.0.0.1:9',
    'http://127.0.0.1:8',
    null,
    'http://127.0.0.1:8',
  ])
})
