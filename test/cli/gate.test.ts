import { cpSync, existsSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ahead, lastCommits } from '../beginnings.ts'
import { POLICY, PROGRAM, type TestRepository } from '../make-repository.ts'
import { application, guarded, headgate, run, serve, serveAgain } from './run-program.ts'

function pushed(repository: TestRepository, subject = 'next'): string {
  const commit = repository.commit(subject)
  repository.mustRun(repository.push('main'))
  return commit
}

/** A repository whose staging is at the URL at which this answers, production too if told; `next` is on main. */
async function reached(
  handler: RequestListener,
  { production = false } = {},
): Promise<{ repository: TestRepository; url: string }> {
  const url = await serveAgain(handler)
  const nowhere = 'http://127.0.0.1:9'
  const policy = production ? POLICY.replaceAll(nowhere, url) : POLICY.replace(nowhere, url)
  return { repository: guarded({ policy, prepare: ahead }), url }
}

/** What was printed, with times that do not change from run to run. */
function timeless(text: string): string {
  return text
    .replace(/ \d+ m?s(?= {2}|$)/gm, ' TIME')
    .replace(/^(gate +outcome +status +time) +reason$/m, '$1  reason')
}

/** What `evidence list --json` says about a commit. */
function evidence(repository: TestRepository, commit: string): Record<string, unknown>[] {
  const ran = repository.mustRun(repository.headgate('evidence', 'list', commit, '--json'))
  return JSON.parse(ran.stdout).evidence
}

test('gates that pass are recorded, and the printed command promotes', async () => {
  let served = ''
  const { repository, url } = await reached(application(() => served))
  const commit = repository.git('rev-parse', 'HEAD')
  served = commit
  const short = commit.slice(0, 7)

  const ran = await headgate(repository, ['gate', '--url', url, '--record', '--key', repository.key('ci')])

  expect(timeless(ran.stdout)).toBe(`gate    outcome  status  time  reason
health  passed   200     TIME
chat    passed   200     TIME
PASSED: 2 of 2 gates passed on staging for ${short}
recorded as evidence on origin
an operator can promote it now:
  headgate promote ${short} --key FILE
`)
  const lines = ran.stderr.split('\n')
  expect(lines[0]).toBe(`staging at ${url}, commit ${short}`)
  expect(lines.slice(1, -1).sort()).toEqual([
    expect.stringMatching(/^ {2}ok {3}chat \(\d+ ms\)$/),
    expect.stringMatching(/^ {2}ok {3}health \(\d+ ms\)$/),
  ])
  expect(ran.code).toBe(0)
  expect(evidence(repository, commit)).toEqual([
    {
      record: 2,
      at: expect.stringMatching(/^20.+Z$/),
      by: 'ci@example.com',
      trusted: true,
      result: 'PASSED',
      environment: 'staging',
      url,
      gates: { passed: ['health', 'chat'], failed: [], warned: [] },
      reason: null,
    },
  ])
  // Nobody deploys production here, and alice's key signs no evidence.
  const rest = ['--key', repository.key('alice'), '--no-record', '--yes', '--wait', '1ms']
  const promote = async (stdout: string) => {
    const commit = /^ {2}headgate promote (\S+) --key FILE$/m.exec(stdout)?.[1] ?? ''
    return headgate(repository, ['promote', commit, ...rest])
  }
  expect((await promote(ran.stdout)).stderr).toContain('production does not serve')
  expect(repository.ref('refs/heads/release')).toBe(commit)

  const next = pushed(repository, 'another')
  served = next
  const again = await headgate(repository, ['gate', '--record'], {
    env: { HEADGATE_KEY: repository.key('ci'), BASE: url },
  })
  expect(again.stdout).toContain(`headgate promote ${next.slice(0, 7)} --key FILE\n`)
  const status = await headgate(repository, ['status', '--no-environments'])
  expect(status.stdout).toContain(`headgate promote ${next.slice(0, 7)} --key FILE\n`)
  expect((await promote(again.stdout)).stderr).toContain('production does not serve')
  expect(repository.ref('refs/heads/release')).toBe(next)
})

test('a run against a URL that the policy does not name is told apart, and neither proves nor voids anything', async () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const gate = async (broken: Record<string, number>) => {
    const url = await serve(application(() => commit, broken))
    return {
      url,
      ...(await headgate(repository, ['gate', '--url', url, '--record', '--key', repository.key('ci')])),
    }
  }
  const passed = await gate({})
  expect(passed.code).toBe(0)
  expect(passed.stderr).toContain(
    'remark: this run will not count: staging is at http://127.0.0.1:9 in the policy;\n',
  )
  expect(passed.stdout).not.toContain('an operator can promote it')
  const refused = repository.push(`${commit}:refs/heads/release`)
  expect(refused.all).toContain('not counted: record 2, since it was made against')
  expect(refused.all).toContain(`${passed.url}, which is no URL of environments.staging`)
  expect(repository.ref('refs/heads/release')).toBeNull()

  repository.mustRun(
    repository.submit(repository.sign(repository.evidencePayload(commit), 'ci', 'headgate-evidence')),
  )
  expect((await gate({ '/api/chat': 500 })).code).toBe(77)
  repository.mustRun(repository.push(`${commit}:refs/heads/release`))
  const list = repository.headgate('evidence', 'list', commit).stdout
  expect(list).toContain(` ${passed.url} `)
  expect(list).toContain(' http://127.0.0.1:9 ')
})

test('a gate that fails is a finding: exit 77, recorded as FAILED, and nothing of an answer is in the record', async () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const url = await serve(application(() => commit, { '/api/chat': 500 }))

  const ran = await headgate(repository, ['gate', '--url', url, '--record', '--key', repository.key('ci')])

  expect(timeless(ran.stdout).replace(/TIME {2,}/, 'TIME  ')).toBe(`gate    outcome  status  time  reason
health  passed   200     TIME
chat    failed   500     TIME  status 500, expected 200
FAILED: 1 of 2 gates passed on staging for ${commit.slice(0, 7)}
recorded as evidence on origin
`)
  expect(ran.stderr).toMatch(/^ {2}FAIL chat \(\d+ ms\): status 500, expected 200$/m)
  expect(ran.code).toBe(77)
  expect(evidence(repository, commit)).toMatchObject([
    { result: 'FAILED', gates: { passed: ['health'], failed: ['chat'] } },
  ])
  const stored = repository.run('git', ['grep', '-l', 'hunter2', 'refs/headgate/ledger'], {
    cwd: repository.bare,
  })
  expect(stored).toMatchObject({ stdout: '', code: 1 })
})

test('the wrong build is sent no gate', async () => {
  const repository = guarded({ prepare: ahead })
  const [first = '', commit = ''] = lastCommits(repository, 2)
  const paths: string[] = []
  const app = application(() => first)
  const url = await serve((request, response) => {
    paths.push(request.url ?? '')
    app(request, response)
  })

  const ran = await headgate(repository, ['gate', '--url', url, '--record', '--key', repository.key('ci')])

  expect(ran.stdout).toContain(
    `staging serves ${first}, not ${commit}; no gate was run\nFAILED: 0 of 2 gates passed`,
  )
  expect(ran.code).toBe(77)
  expect(paths).toEqual(['/health'])
})

test('staging that is down is no verdict: exit 69, and nothing is recorded', async () => {
  const repository = guarded({ prepare: ahead })
  const subjects = repository.ledgerSubjects()

  const ran = await headgate(repository, [
    'gate',
    '--record',
    '--key',
    repository.key('ci'),
    '--url',
    'http://127.0.0.1:9',
  ])

  expect(ran.stderr.split('\n').slice(1).join('\n')).toBe(
    'headgate: staging at http://127.0.0.1:9 cannot be reached: connection refused\n' +
      '  hint: nothing was checked and nothing is recorded; look at the URL and the deployment, then try again\n',
  )
  expect(ran.stdout).toBe('')
  expect(ran.code).toBe(69)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('Ctrl-C ends the run, records nothing and says so', async () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const subjects = repository.ledgerSubjects()
  const app = application(() => commit)
  const url = await serve((request, response) => {
    if (request.url === '/health') app(request, response)
  })

  const ran = await headgate(repository, ['gate', '--url', url, '--record', '--key', repository.key('ci')], {
    onStderr: (text, kill) => {
      if (text.includes('ok   health')) kill()
    },
  })

  expect(ran.stderr).toContain(
    'headgate: interrupted before the gates of staging ended; nothing is recorded\n',
  )
  expect(ran.stderr).not.toContain('    at ')
  expect(ran.stdout).toBe('')
  expect(ran.code).toBe(69)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('MODE and BASE choose the environment, and options win over them', async () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const env = {
    MODE: 'prod',
    BASE: await serve(application(() => commit)),
    HEADGATE_KEY: repository.key('ci'),
  }

  const production = await headgate(repository, ['gate', '--record'], { env })
  expect(production.stdout).toContain(
    `\nPASSED: 1 of 1 gates passed on production for ${commit.slice(0, 7)}\nrecorded as evidence on origin\n`,
  )
  const staging = await headgate(repository, ['gate', '--record', '--mode', 'staging'], { env })
  expect(staging.stdout).toContain('PASSED: 2 of 2 gates passed on staging')
  const elsewhere = await headgate(repository, ['gate', '--record', '--url', 'http://127.0.0.1:9'], { env })
  expect(elsewhere.code).toBe(69)
  const wrong = await headgate(repository, ['gate', '--record'], { env: { ...env, MODE: 'qa' } })
  expect(wrong.stderr).toBe(
    'headgate: MODE=qa is neither staging nor prod\n  hint: set it to one of these, or unset it\n',
  )
  expect(wrong.code).toBe(64)
  const unset = await headgate(repository, ['gate', '--record'], { env: { ...env, MODE: '', BASE: '' } })
  expect(unset.stderr).toContain('staging at http://127.0.0.1:9, commit')
})

test('without --record it tries the working tree, from any folder of it, and needs no server', async () => {
  const repository = guarded({ install: false })
  cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
  const commit = repository.commit('policy', { 'deep/er/file': 'x' })
  const url = await serve(application(() => commit))

  const ran = await headgate(repository, ['gate', '--url', url], {
    cwd: join(repository.clone, 'deep', 'er'),
  })

  expect(ran.stdout).toContain(`\nPASSED: 2 of 2 gates passed on staging for ${commit.slice(0, 7)}\n`)
  expect(ran.code).toBe(0)

  const older = await headgate(repository, ['gate', '--url', url, '--commit', 'HEAD~1'])
  expect(older.stdout).toContain(`staging serves ${commit}, not ${repository.git('rev-parse', 'HEAD~1')}`)
  expect(older.code).toBe(77)
})

test('--json prints one JSON value on stdout and no progress on stderr but the first line', async () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const url = await serve(application(() => commit, { '/api/chat': 503 }))
  const ran = await headgate(repository, [
    'gate',
    '--url',
    url,
    '--json',
    '--record',
    '--key',
    repository.key('ci'),
  ])
  expect(JSON.parse(ran.stdout)).toMatchObject({
    commit,
    recorded: true,
    environment: 'staging',
    baseUrl: url,
    result: 'FAILED',
    problem: null,
    servedCommit: { before: commit, after: commit },
    gates: [
      { name: 'health', outcome: 'passed', status: 200, optional: false, reason: null },
      { name: 'chat', outcome: 'failed', status: 503, reason: 'status 503, expected 200' },
    ],
  })
  expect(ran.stderr).toBe(`staging at ${url}, commit ${commit.slice(0, 7)}\n`)
  expect(ran.code).toBe(77)
})

test('what is wrong with the call is said before the first request', async () => {
  const repository = guarded()
  let requests = 0
  const url = await serve((_, response) => {
    requests += 1
    response.end()
  })
  const outcome = async (...args: string[]) => {
    const { stderr, stdout, code } = await headgate(repository, ['gate', '--url', url, ...args])
    expect(stdout).toBe('')
    return `${stderr}exit ${code}`
  }
  expect(await outcome('--record')).toBe(
    'headgate: no key to sign with\n  hint: name it with --key FILE or HEADGATE_KEY; headgate key generate makes one\nexit 64',
  )
  expect(await outcome('--record', '--key', '/nonexistent/ci_key')).toBe(
    'headgate: key file /nonexistent/ci_key does not exist\n  hint: name the file of an SSH key, such as ~/.ssh/id_ed25519\nexit 78',
  )
  expect(await outcome('--commit', 'nowhere')).toBe(
    'headgate: there is no commit "nowhere" in this clone\n' +
      '  hint: fetch first, or name a commit, branch or tag that exists: git log --oneline\nexit 64',
  )
  expect(await outcome()).toBe(
    `headgate: ${repository.clone}/.headgate does not exist\n` +
      '  hint: name a folder with policy.yaml and allowed_signers; headgate init --policy writes one to begin with\nexit 78',
  )
  cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
  writeFileSync(join(repository.clone, '.headgate', 'policy.yaml'), 'version: 1\nstagin: x\n')
  expect(await outcome()).toMatch(
    /^headgate: policy\.yaml has \d problems\n( {2}policy\.yaml:\d+:\d+: .+\n)+ {2}hint: .+\nexit 78$/,
  )
  expect(requests).toBe(0)

  const secret = await headgate(repository, [
    'gate',
    '--record',
    '--key',
    repository.key('ci'),
    '--url',
    'http://u:hunter2@x',
  ])
  expect(secret.all).not.toContain('hunter2')
  expect(secret.stderr).toMatch(/^headgate: --url: the base URL .+\n {2}hint: --url goes before BASE, .+\n$/)
  expect(secret.code).toBe(64)
})

test('a key that the server does not trust: its reason and the results, exit 77, nothing recorded', async () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const subjects = repository.ledgerSubjects()
  const url = await serve(application(() => commit))
  const args = ['gate', '--url', url, '--record', '--key', repository.key('alice'), '--json']
  const ran = await headgate(repository, args)
  expect(JSON.parse(ran.stdout)).toMatchObject({ result: 'PASSED', recorded: false })
  expect(ran.stderr.split('\n').slice(1)).toEqual([
    'headgate: the server refused the statement; nothing was recorded',
    expect.stringMatching(/^ {2}the key is not allowed to sign .+ \(evidence statement\)$/),
    '  hint: keys are trusted by .headgate/allowed_signers as the server admin applied it: headgate policy show',
    '',
  ])
  expect(ran.code).toBe(77)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test.runIf(existsSync('/usr/bin/script'))('colour on a terminal only, and not with NO_COLOR', async () => {
  const repository = guarded({ install: false })
  cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
  const commit = repository.commit('policy', {})
  const url = await serve(application(() => commit))
  const onTerminal = async (env: Record<string, string>) => {
    const command = `'${process.execPath}' '${PROGRAM}' gate --url ${url}`
    return (
      await run('script', ['-qec', command, '/dev/null'], {
        cwd: repository.clone,
        env: { ...repository.env, TERM: 'xterm', ...env },
      })
    ).stdout
  }
  expect(await onTerminal({})).toContain('\x1b[32mPASSED\x1b[0m: 2 of 2 gates passed')
  for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    const text = await onTerminal(env)
    expect(text).toContain('PASSED: 2 of 2 gates passed')
    expect(text).not.toContain('\x1b')
  }
  const piped = await headgate(repository, ['gate', '--url', url], { env: { TERM: 'xterm' } })
  expect(piped.all).not.toContain('\x1b')
})

test('a run in which no gate ran is no evidence: nothing is recorded, and an older pass still counts', async () => {
  const { repository, url } = await reached(application(() => commit))
  const [first = '', commit = ''] = lastCommits(repository, 2)
  const args = ['gate', '--record', '--key', repository.key('ci'), '--url']
  const passed = await headgate(repository, [...args, url])
  expect(passed.code, passed.all).toBe(0)
  const subjects = repository.ledgerSubjects()

  const other = await headgate(repository, [...args, await serve(application(() => first))])
  expect(other.code, other.all).toBe(77)
  expect(other.stderr).toContain('nothing is recorded: a run without a gate is no evidence\n')
  const silent = await headgate(repository, [...args, await serve((_, response) => response.end('{}'))])
  expect(silent.code, silent.all).toBe(77)
  expect(repository.ledgerSubjects()).toEqual(subjects)

  // One gate that ran and failed still is evidence.
  const landed = repository.push(`${commit}:refs/heads/release`)
  expect(landed.code, landed.all).toBe(0)
  const failing = await headgate(repository, [
    ...args,
    await serve(application(() => commit, { '/api/chat': 503 })),
  ])
  expect(failing.stdout).toContain('recorded as evidence on origin')
})

test('--wait ends at once where what is served contains the commit, which is superseded', async () => {
  const repository = guarded({ prepare: ahead })
  const [, commit = ''] = lastCommits(repository, 2)
  // Pushed by somebody else: this clone does not have it.
  const newer = repository.commit('newer')
  repository.mustRun(repository.push('main'))
  repository.git('reset', '-q', '--hard', commit)
  repository.git('update-ref', '-d', 'refs/remotes/origin/main')
  repository.git('reflog', 'expire', '--expire=now', '--all')
  repository.git('gc', '-q', '--prune=now')
  expect(repository.run('git', ['cat-file', '-e', newer], { cwd: repository.clone }).code).not.toBe(0)
  const subjects = repository.ledgerSubjects()
  let asked = 0
  const app = application(() => newer)
  const url = await serve((request, response) => {
    asked += 1
    app(request, response)
  })

  const ran = await headgate(repository, [
    ...['gate', '--wait', '1h', '--record', '--key', repository.key('ci'), '--url', url],
  ])

  expect(ran.stdout).toContain(
    `superseded by a commit that contains it: staging serves ${newer}, not ${commit}; no gate was run\n`,
  )
  expect(ran.code).toBe(69)
  expect(asked).toBe(2)
  expect(repository.ledgerSubjects()).toEqual(subjects)
})

test('--mode prod proves what the release branch is at on the remote, whatever is checked out', async () => {
  const { repository, url } = await reached(
    application(() => commit),
    { production: true },
  )
  const [, commit = ''] = lastCommits(repository, 2)
  const key = ['--key', repository.key('ci')]
  expect((await headgate(repository, ['gate', '--record', ...key, '--url', url])).code).toBe(0)
  repository.mustRun(repository.push(`${commit}:refs/heads/release`))
  repository.commit('the release log')

  for (const more of [[], ['--record', ...key]]) {
    if (more.length === 0)
      cpSync(repository.policyFolder, join(repository.clone, '.headgate'), { recursive: true })
    const ran = await headgate(repository, ['gate', '--mode', 'prod', '--url', url, ...more])
    expect(ran.stderr).toContain(`commit ${commit.slice(0, 7)} (release on origin)\n`)
    expect(ran.stdout).toContain(`PASSED: 1 of 1 gates passed on production for ${commit.slice(0, 7)}\n`)
    expect(ran.code).toBe(0)
  }
  const named = await headgate(repository, ['gate', '--mode', 'prod', '--url', url, '--commit', 'HEAD'])
  expect(named.stdout).toContain(`production serves ${commit}, not `)
  const away = await headgate(repository, [
    'gate',
    '--mode',
    'prod',
    '--url',
    url,
    '--remote',
    '/nowhere.git',
  ])
  expect(away.stderr).toMatch(/hint: name the commit that production is to serve: --commit COMMIT\n$/)
  expect(away.code).toBe(69)
})
