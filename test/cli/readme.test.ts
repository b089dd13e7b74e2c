/** What README.md shows is what happens. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { lastCommits, unproved } from '../beginnings.ts'
import { serveGit } from '../client/smart-http.ts'
import { PROGRAM } from '../make-repository.ts'
import { guarded, run, serve } from './run-program.ts'

const README = readFileSync(resolve(import.meta.dirname, '..', '..', 'README.md'), 'utf8')

function block(language: string, containing: string): string {
  const blocks = [...README.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
  const found = blocks.find(([, name, text]) => name === language && text?.includes(containing))?.[2]
  if (found === undefined) throw new Error(`README.md has no block of ${language} with ${containing}`)
  return found
}

test('its policy is valid', () => {
  const repository = guarded({ install: false })
  writeFileSync(join(repository.policyFolder, 'policy.yaml'), block('yaml', 'environments:'))
  const ran = repository.headgate('policy', 'check', repository.policyFolder)
  expect(ran).toMatchObject({ stderr: '', code: 0 })
})

test('its refusal is the one that git prints', () => {
  const repository = guarded({ prepare: unproved })
  const [first = '', second = ''] = lastCommits(repository, 2)
  const ran = repository.push(`${second}:release`)
  const said = ran.stderr
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
    .replaceAll(first.slice(0, 7), '9d0e1f2')
    .replaceAll(second.slice(0, 7), '3f2c1ab')
  const shown = block('', 'push refused').split('\n').slice(1).join('\n').trimEnd()
  expect(said).toContain(shown)
})

/**
 * The tour as a reader takes it: its commands as they stand, over smart HTTP, against applications that are there. Only
 * what a reader would fill in is filled in: paths, addresses, ids, and a yes to what a terminal would ask.
 */
test('its tour works as it is written', async () => {
  const repository = guarded({ install: false })
  const remote = `${await serveGit(repository)}/app.git`
  repository.server('config', 'http.receivepack', 'true')
  repository.git('remote', 'set-url', 'origin', remote)
  const served = { staging: '', production: '' }
  const urls = {
    staging: await serve(deployed('staging', served)),
    production: await serve(deployed('production', served)),
  }
  const bin = join(repository.folder, 'bin')
  mkdirSync(bin)
  const headgate = `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`
  writeFileSync(join(bin, 'headgate'), headgate, { mode: 0o755 })
  const admin = join(repository.folder, 'admin')
  mkdirSync(admin)

  let commit = repository.git('rev-parse', 'HEAD')
  const type = async (text: string, cwd = repository.clone): Promise<string> => {
    const script = text
      .replaceAll('/srv/git/app.git', repository.bare)
      .replaceAll('3f2c1ab', commit.slice(0, 7))
      .replace(/^headgate (promote|rollback) /gm, 'headgate $1 --yes ')
    const env = { ...repository.env, PATH: `${bin}:${repository.env.PATH}`, COMMIT: commit }
    const ran = await run('sh', ['-euc', script], { cwd, env })
    expect(ran.code, `${script}\n${ran.all}`).toBe(0)
    return ran.stdout
  }
  const deploy = (environment: keyof typeof served) => {
    served[environment] = commit
  }

  await type(block('sh', 'mkdir policy'), admin)
  const policy = block('yaml', 'environments:')
    .replace('https://staging.example.com', urls.staging)
    .replace('https://www.example.com', urls.production)
  writeFileSync(join(admin, 'policy', 'policy.yaml'), policy)
  await type(block('sh', 'headgate policy check'), admin)
  for (const key of ['ci_key', 'alice_key'])
    copyFileSync(join(admin, key), join(repository.clone, '.git', key))
  copyFileSync(
    join(repository.bare, 'headgate', 'seal-key.pub'),
    join(repository.clone, '.git', 'seal-key.pub'),
  )
  const withKeys = (text: string) => text.replace(/\b(ci_key|alice_key|seal-key\.pub)\b/g, '.git/$1')

  await type(block('sh', 'headgate init'))
  const released: string[] = []
  for (const subject of ['one', 'two']) {
    commit = repository.commit(subject)
    released.push(commit)
    await type('git push origin HEAD:main')
    deploy('staging')
    expect(await type(withKeys(block('sh', 'gate --mode staging')))).toContain('PASSED: 2 of 2 gates')
    deploy('production')
    expect(await type(block('sh', 'headgate status'))).toContain(`release is at ${commit.slice(0, 7)}`)
    expect(await type(withKeys(block('sh', 'deploy-check')))).toContain('PASSED: 1 of 1 gate')
    await type('git pull -q --rebase origin main')
  }
  served.production = released[0] ?? ''
  expect(await type(withKeys(block('sh', 'headgate rollback')))).toContain('production serves it')
  commit = served.production
  await type('git pull -q --rebase origin main')
  await type(block('sh', 'headgate check'))
  expect(await type(withKeys(block('sh', 'headgate verify')))).toMatch(/^headgate verify: VERIFIED: /m)
}, 600_000)

/** An application whose deployments are told, one after the other, in `served`. */
function deployed(environment: 'staging' | 'production', served: Record<string, string>): RequestListener {
  return (_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ app_env: environment, commit: served[environment] }))
  }
}
