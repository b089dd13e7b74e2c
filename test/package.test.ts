/**
 * The packed tarball, installed elsewhere: what a user gets, without the source tree. Scripts are not run while packing,
 * since building would take dist/ away from the tests beside this one.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import packageFile from '../package.json' with { type: 'json' }
import { PROGRAM, TestRepository } from './make-repository.ts'

const ROOT = resolve(import.meta.dirname, '..')
const folder = mkdtempSync(join(tmpdir(), 'headgate-package-'))
const prefix = join(folder, 'prefix')
const program = join(prefix, 'bin', 'headgate')
const installed = join(prefix, 'lib', 'node_modules', 'headgate')

function npm(...args: string[]): string {
  const env = { PATH: process.env.PATH ?? '', HOME: folder, npm_config_cache: join(folder, 'cache') }
  const ran = spawnSync('npm', args, { cwd: ROOT, encoding: 'utf8', env })
  if (ran.status !== 0) throw new Error(`npm ${args[0]}: ${ran.stderr}${ran.stdout}`)
  return ran.stdout
}

/** The Nodes to try: the one that runs this test, and the first other one in PATH. */
function nodes(): { path: string; version: string }[] {
  const own = { path: process.execPath, version: process.version }
  for (const place of ['/usr/local/bin', '/usr/bin', ...(process.env.PATH ?? '').split(delimiter)]) {
    const path = join(place, 'node')
    if (!existsSync(path)) continue
    const version = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout?.trim() ?? ''
    if (version !== process.version && Number.parseInt(version.slice(1), 10) >= 20)
      return [own, { path, version }]
  }
  return [own]
}

let packed: { filename: string; files: { path: string; mode: number }[] }

beforeAll(() => {
  ;[packed] = JSON.parse(npm('pack', '--json', '--ignore-scripts', '--pack-destination', folder))
  npm(
    'install',
    '--global',
    '--offline',
    '--no-audit',
    '--no-fund',
    '--prefix',
    prefix,
    join(folder, packed.filename),
  )
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the tarball', () => {
  test('has the program, the hooks, the documents, the licence, and nothing else', () => {
    const paths = packed.files.map(({ path }) => path)
    expect(paths).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'package.json',
        'dist/headgate.js',
        'dist/hook.cjs',
        'dist/read-policy.js',
        'hooks/server/pre-receive',
        'hooks/server/reference-transaction',
        'hooks/server/post-receive',
        'docs/gates.md',
        'docs/policy-reference.md',
        'docs/policy.schema.json',
      ]),
    )
    const others = paths.filter(
      (path) =>
        !/^(?:(?:LICENSE|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md|package\.json)$|dist\/|hooks\/|docs\/)/.test(
          path,
        ),
    )
    expect(others).toEqual([])
    expect(paths.filter((path) => /\.ts$|\.test\.|\.map$/.test(path))).toEqual([])
  })

  test('names no path of this machine and no registry', () => {
    const files = readdirSync(installed, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(files.length).toBe(packed.files.length)
    for (const entry of files) {
      const text = readFileSync(join(entry.parentPath, entry.name), 'latin1')
      expect(text.includes(ROOT), entry.name).toBe(false)
      expect(/\bregistry\.[a-z0-9-]+\.[a-z]+/.exec(text)?.[0], entry.name).toBeUndefined()
    }
  })

  test('needs no other package', () => {
    expect(packageFile).not.toHaveProperty('dependencies')
    expect(readdirSync(join(prefix, 'lib', 'node_modules'))).toEqual(['headgate'])
    expect(existsSync(join(installed, 'node_modules'))).toBe(false)
  })

  test('links of the README that lead into the package lead somewhere', () => {
    const links = [...readFileSync(join(installed, 'README.md'), 'utf8').matchAll(/\]\(([^)#]+)/g)].map(
      ([, link]) => link ?? '',
    )
    for (const link of links) {
      if (!/^https?:/.test(link)) expect(existsSync(join(installed, link)), link).toBe(true)
    }
  })
})

describe.each(nodes())('installed, with Node $version', ({ path, version }) => {
  const isOld = Number(/^v(\d+)/.exec(version)?.[1]) < 24

  test.runIf(isOld)('it says which Node it needs', () => {
    const bin = mkdtempSync(join(tmpdir(), 'headgate-node-'))
    try {
      symlinkSync(path, join(bin, 'node'))
      const ran = spawnSync(program, ['--version'], {
        env: { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin` },
        encoding: 'utf8',
      })
      expect(ran.stderr).toContain(`is Node ${version.slice(1)}, and headgate needs 24 or newer\n`)
      expect(ran.status).toBe(78)
    } finally {
      rmSync(bin, { recursive: true })
    }
  })

  test.skipIf(isOld)('it guards a repository by itself', () => {
    const repository = new TestRepository({ install: false })
    try {
      // A folder of its own, in which this is the only node: /usr/bin has one, too.
      const bin = join(repository.folder, 'bin')
      mkdirSync(bin)
      repository.mustRun(repository.run('ln', ['-s', path, join(bin, 'node')]))
      const env = { PATH: `${bin}:/usr/local/bin:/usr/bin:/bin` }
      const headgate = (...args: string[]) => repository.run(program, args, { cwd: repository.clone, env })

      expect(headgate('--version').stdout).toBe(`${packageFile.version}\n`)
      expect(headgate('policy', 'check', repository.policyFolder)).toMatchObject({ code: 0 })
      repository.mustRun(
        headgate(
          ...[
            'server',
            'install',
            repository.bare,
            '--identity',
            'env:TEST_PUSHER',
            '--policy',
            repository.policyFolder,
          ],
        ),
      )
      for (const name of ['pre-receive', 'reference-transaction', 'post-receive']) {
        const hook = readFileSync(join(repository.bare, 'hooks', name), 'utf8')
        expect(hook).not.toContain(dirname(PROGRAM))
        expect(hook).toContain(join(installed, 'dist', 'hook.cjs'))
      }

      // Whoever pushes has a PATH without this node, as on any git server.
      const pusher = { PATH: '/usr/bin:/bin' }
      const commit = repository.commit('next')
      repository.mustRun(repository.push('main', { env: pusher }))
      const refused = repository.push(`${commit}:refs/heads/release`, { env: pusher })
      expect(refused.all).toContain('there is no staging evidence for')
      expect(refused.code).toBe(1)
      repository.mustRun(
        headgate(
          ...['evidence', 'add', '--commit', commit, '--passed', 'health', 'chat', '--served-commit', commit],
          ...['--key', repository.key('ci')],
        ),
      )
      const landed = repository.push(`${commit}:refs/heads/release`, { env: pusher })
      expect(landed.code, landed.all).toBe(0)
      expect(repository.ref('refs/heads/release')).toBe(commit)
    } finally {
      repository.remove()
    }
  })
})

if (nodes().length === 1) test.skip(`with another Node: there is only ${process.version} here`, () => {})
