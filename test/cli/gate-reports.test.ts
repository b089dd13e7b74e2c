import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { XMLValidator } from 'fast-xml-parser'
import { expect, test } from 'vitest'
import { ahead, lastCommits } from '../beginnings.ts'
import { POLICY, PROGRAM, type TestRepository } from '../make-repository.ts'
import { application, guarded, headgate, run, serve } from './run-program.ts'

/** A guarded repository whose staging has these gates besides the usual two. */
function withGates(gates: readonly string[], url = 'http://127.0.0.1:9'): TestRepository {
  const [head = '', tail = ''] = POLICY.split('  production:')
  const policy = `${head}${gates.map((gate) => `      - ${gate}\n`).join('')}  production:${tail}`
  return guarded({ policy: policy.replaceAll('http://127.0.0.1:9', url) })
}

function pushed(repository: TestRepository, files: Record<string, string> = { f: 'next' }): string {
  const commit = repository.commit('next', files)
  repository.mustRun(repository.push('main'))
  return commit
}

const GATES = [
  '{ name: warned, get: /warned, optional: true, expect: { status: 418 } }',
  '{ name: hostile, get: /hostile, expect: { headers: { x: "<b>&|`\\"\'" } } }',
  '{ name: burst, get: /burst, burst: { requests: 10 }, expect: { statusIn: [200, 429] } }',
]

test('--report and --junit write files, which hold what was found and nothing of an answer', async () => {
  const repository = withGates(GATES)
  const commit = pushed(repository)
  const url = await serve(application(() => commit))
  const [html, xml] = [join(repository.folder, 'gates.html'), join(repository.folder, 'gates.xml')]
  const ran = await headgate(repository, [
    ...['gate', '--record', '--key', repository.key('ci'), '--url', url, '--report', html, '--junit', xml],
  ])
  expect(ran.code, ran.all).toBe(77)

  const page = readFileSync(html, 'utf8')
  expect(page).toContain('<h1><span class="FAILED">FAILED</span>: 3 of 5 gates passed on staging for ')
  expect(page).toContain(`<dt>commit</dt><dd><code>${commit}</code></dd>`)
  expect(page).toContain('<td class="warned">warned (optional)</td>')
  expect(page).toContain('10x 200')
  expect(page).toContain('header x is missing, expected &quot;&lt;b&gt;&amp;|`')
  expect(page).not.toMatch(/<script|<b>|hunter2|https?:\/\/(?!127)/)

  const report = readFileSync(xml, 'utf8')
  expect(XMLValidator.validate(report)).toBe(true)
  expect(report).toContain('tests="5" failures="1" errors="0" skipped="1"')
  expect(report).toMatch(
    /<testcase name="warned" [^>]+><skipped message="optional: status 200, expected 418"\/>/,
  )
  expect(report).not.toContain('hunter2')

  const again = await headgate(repository, [
    ...['evidence', 'add', '--commit', commit, '--junit', xml, '--key', repository.key('ci')],
  ])
  expect(again.stdout).toMatch(/^FAILED evidence/)
})

test('a run that found another build fails as JUnit, too', async () => {
  const repository = guarded({ prepare: ahead })
  const first = repository.git('rev-parse', 'HEAD~1')
  const xml = join(repository.folder, 'gates.xml')
  const url = await serve(application(() => first))
  const ran = await headgate(repository, [
    ...['gate', '--record', '--key', repository.key('ci'), '--url', url, '--junit', xml],
  ])
  expect(ran.code).toBe(77)
  const report = readFileSync(xml, 'utf8')
  expect(report).toContain('tests="3" failures="1" errors="0" skipped="2"')
  expect(report).toContain(`<failure message="staging serves ${first}, not `)
})

test('an old report does not stay where a run ends before it writes its own', async () => {
  const repository = guarded({ prepare: ahead })
  const xml = join(repository.folder, 'gates.xml')
  writeFileSync(xml, 'old')
  const link = join(repository.folder, 'like-dev-stdout')
  symlinkSync('/dev/null', link)
  const args = ['gate', '--record', '--key', repository.key('ci'), '--url', 'http://127.0.0.1:9']
  expect((await headgate(repository, [...args, '--junit', xml, '--report', link])).code).toBe(69)
  expect(existsSync(xml)).toBe(false)
  expect(existsSync(link)).toBe(true)
  const nowhere = await headgate(repository, [...args, '--report', join(repository.folder, 'none', 'x.html')])
  expect(nowhere.stderr).toMatch(
    /^headgate: --report: there is no folder \S+\n {2}hint: make it first: mkdir -p /,
  )
  expect(nowhere.code).toBe(64)
})

test('in GitHub Actions, failures become annotations and the step gets a summary', async () => {
  const repository = withGates([
    ...GATES,
    "{ name: chatty, run: \"echo '::add-mask::x'; echo 'a ##[set-env]b'\" }",
  ])
  const commit = pushed(repository)
  const url = await serve(application(() => commit))
  const summary = join(repository.folder, 'summary.md')
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url], {
    env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary, CI: 'true' },
  })
  const commands = ran.all.split('\n').filter((line) => /^\s*::|##\[/.test(line))
  expect(commands.sort()).toEqual([
    '::error title=headgate%3A gate hostile failed on staging::header x is missing, expected "<b>&|`\\"\'"',
    '::warning title=headgate%3A gate warned warned on staging::status 200, expected 418',
  ])
  const text = readFileSync(summary, 'utf8')
  expect(text).toContain('### headgate: FAILED')
  expect(text).toContain('| hostile | failed | 200 |')
  expect(text).toContain('expected "&lt;b>&amp;\\|\\`')
  expect(text).not.toContain('hunter2')

  const bad = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url], {
    env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: repository.folder },
  })
  expect(bad.code).toBe(77)
  expect(bad.stderr).toContain('headgate: the step summary cannot be written: ')
})

test('only optional gates failed: WARNED, exit 0, recorded, and the promotion lands', async () => {
  const url = await serve(application(() => commit))
  const repository = withGates([GATES[0] ?? ''], url)
  const commit = pushed(repository)
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url])
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toMatch(/^ {2}warn warned \(\d+ ms\): status 200, expected 418$/m)
  expect(ran.stdout).toMatch(/^warned {2}warned \(optional\) {2}200 {5}\d+ ms +status 200, expected 418$/m)
  expect(ran.stdout).toContain('WARNED: 2 of 3 gates passed')
  const landed = repository.push(`${commit}:refs/heads/release`)
  expect(landed.code, landed.all).toBe(0)
})

test('the record of a run has attempts and counts, and neither secret, payload, cookie nor output', async () => {
  const repository = withGates([
    '{ name: flaky, post: /flaky, json: { prompt: payload-hunter2 }, retries: { times: 2, backOff: 1ms }, expect: { status: 200 } }',
    '{ name: secret, get: /secret, headers: { authorization: { env: HEADGATE_GATE_TOKEN } }, expect: { status: 200 } }',
    '{ name: after, get: /after, after: secret, expect: { status: 200 } }',
    '{ name: burst, get: /burst, burst: { requests: 10 }, expect: { status: 200 } }',
    '{ name: drills, run: "sh drills.sh" }',
  ])
  const commit = pushed(repository, {
    'drills.sh': 'echo "$HEADGATE_GATE_TOKEN and output-hunter2 in $LC_ALL"\n',
  })
  let flaky = 0
  const app = application(() => commit)
  const url = await serve((request, response) => {
    if (request.url === '/flaky') response.statusCode = ++flaky === 1 ? 503 : 200
    if (request.url === '/flaky') return void response.end('body-hunter2')
    response.setHeader('set-cookie', 'session=cookie-hunter2; Path=/')
    return app(request, response)
  })
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url], {
    env: { HEADGATE_GATE_TOKEN: 'token-hunter2', LC_ALL: 'C.UTF-8' },
  })
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toContain('  again flaky: attempt 1: status 503, expected 200\n')
  expect(ran.stderr).toContain('  drills | *** and output-hunter2 in C.UTF-8\n')
  expect(ran.stdout).toMatch(/^flaky .+ 2 attempts: attempt 1: status 503, expected 200$/m)
  expect(ran.all).not.toMatch(/(?:token|payload|cookie|body)-hunter2/)

  const files = repository
    .server('ls-tree', '-r', '--name-only', 'refs/headgate/ledger')
    .split('\n')
    .filter((name) => name.endsWith('-evidence.json'))
  expect(files).toHaveLength(1)
  const record = repository.server('show', `refs/headgate/ledger:${files[0]}`)
  const payload = Buffer.from(JSON.parse(record).envelope.payload, 'base64').toString('utf8')
  expect(payload).not.toContain('hunter2')
  const { gates } = JSON.parse(payload).predicate.headgate
  const named = (name: string) => gates.find((gate: { name: string }) => gate.name === name)
  expect(named('flaky')).toMatchObject({ outcome: 'passed', attempts: 2 })
  expect(named('burst')).toMatchObject({ outcome: 'passed', status: null, statuses: { 200: 10 } })
  expect(Object.keys(named('health'))).not.toContain('attempts')
})

test('a run of 64 gates that all fail for long reasons is recorded', async () => {
  const values = Array.from({ length: 4 }, (_, at) => `"${'界'.repeat(30)}${at}"`).join(', ')
  const repository = withGates(
    Array.from(
      { length: 62 },
      (_, at) =>
        `{ name: ${'n'.repeat(97)}${at}, get: /x, burst: { requests: 2 }, expect: { json: { a: { oneOf: [${values}] } } } }`,
    ),
  )
  const commit = pushed(repository)
  const url = await serve(application(() => commit))
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url])
  expect(ran.stdout).toContain('FAILED: 2 of 64 gates passed')
  expect(ran.stdout).toContain('recorded as evidence on origin')
  expect(ran.code).toBe(77)
})

test('a secret that is not set: said before the first request, exit 78', async () => {
  const repository = withGates([
    '{ name: secret, get: /secret, headers: { authorization: { env: HEADGATE_GATE_TOKEN } }, expect: { status: 200 } }',
  ])
  pushed(repository)
  let asked = 0
  const url = await serve((_, response) => {
    asked += 1
    response.end()
  })
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url])
  expect(ran.stderr.split('\n').slice(1, 3)).toEqual([
    'headgate: the gates of staging need environment variables that are not set: HEADGATE_GATE_TOKEN',
    "  hint: set them from your CI's secret store, or by hand: read -rs HEADGATE_GATE_TOKEN; export HEADGATE_GATE_TOKEN",
  ])
  expect([ran.code, asked]).toEqual([78, 0])
})

test('--wait tells what it waits for, and then runs', async () => {
  const repository = guarded({ prepare: ahead })
  const [first = '', commit = ''] = lastCommits(repository, 2)
  let asked = 0
  const url = await serve(application(() => (++asked < 3 ? first : commit)))
  const args = ['gate', '--record', '--key', repository.key('ci'), '--url', url]
  const ran = await headgate(repository, [...args, '--wait', '1m'])
  expect(ran.code, ran.all).toBe(0)
  expect(ran.stderr).toMatch(
    new RegExp(
      `^  waiting for staging to serve ${commit.slice(0, 7)} \\(\\d+ ms\\): it serves ${first}$`,
      'm',
    ),
  )
  expect(ran.stdout).toContain('PASSED: 2 of 2')
  expect((await headgate(repository, [...args, '--wait', 'long'])).code).toBe(64)
})

test('Ctrl-C during a command ends it, records nothing and says so', async () => {
  const repository = withGates(['{ name: drills, run: "echo started; sleep 600" }'])
  const commit = pushed(repository)
  const url = await serve(application(() => commit))
  const subjects = repository.ledgerSubjects()
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url], {
    onStderr: (text, kill) => {
      if (text.includes('drills | started')) kill()
    },
  })
  expect(ran.stderr).toContain(
    'headgate: interrupted before the gates of staging ended; nothing is recorded\n',
  )
  expect(ran.code).toBe(69)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('a second signal ends it at once, with everything that it has started', async () => {
  const stubborn = "trap 'echo asked' TERM; echo its id is $$; while :; do sleep 0.1; done"
  const repository = withGates([`{ name: drills, run: ${JSON.stringify(stubborn)} }`])
  const commit = pushed(repository)
  const url = await serve(application(() => commit))
  const subjects = repository.ledgerSubjects()
  const ran = await headgate(repository, ['gate', '--record', '--key', repository.key('ci'), '--url', url], {
    onStderr: (text, interrupt) => {
      if (text.includes('drills | its id is ')) interrupt('SIGHUP')
      if (text.includes('drills | asked')) interrupt('SIGINT')
    },
  })
  expect(ran.stderr).toContain(
    'headgate: interrupted before the gates of staging ended; nothing is recorded\n',
  )
  expect(ran.code).toBe(69)
  const id = /its id is (\d+)/.exec(ran.stderr)?.[1] ?? ''
  const state = await run('ps', ['-o', 'stat=', '-p', id], {})
  expect(state.stdout).toMatch(/^(?:Z.*\s)?$/)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test.runIf(existsSync('/usr/bin/script'))(
  'on a terminal the table lives, and leaves the results alone',
  async () => {
    const repository = guarded({ install: false })
    cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
    const commit = repository.commit('policy', {})
    const app = application(() => commit)
    const url = await serve((request, response) => void setTimeout(() => app(request, response), 300))
    const onTerminal = async (env: Record<string, string>) => {
      const command = `stty rows 40 cols 100; '${process.execPath}' '${PROGRAM}' gate --url ${url}`
      const options = { cwd: repository.clone, env: { ...repository.env, TERM: 'xterm', ...env } }
      return (await run('script', ['-qec', command, '/dev/null'], options)).stdout
    }
    const live = await onTerminal({})
    expect(live).toMatch(/[|/\\-] {4}health \(0 ms\)/)
    // The block is taken away before the results are printed.
    expect(live).toMatch(/\x1b\[2A\x1b\[Jgate +outcome/)
    expect(live).toContain('PASSED')
    const plain = await onTerminal({ CI: 'true' })
    expect(plain).not.toContain('\x1b[J')
    expect(plain).toMatch(/^ {2}ok {3}health \(\d+ ms\)\r?$/m)
  },
)
