/**
 * What client hooks cost those who work on branches that nobody guards: a commit and a push without hooks, with as many
 * as headgate has that end at once (what is left to git and the start of a shell), with headgate's, with husky's and lefthook's that start `true`, and with headgate's started by those two. Every round runs
 * all of them in turn. The repository that is pushed to has no hooks.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { CLIENT_HOOKS } from '../src/app/client-hooks/hook-script.ts'
import { writeRemoteList } from '../src/git/guarded-remotes.ts'
import { PROGRAM, TestRepository } from '../test/make-repository.ts'
import { printTable, Rounds } from './rounds.ts'

const MODULES = resolve(import.meta.dirname, '..', 'node_modules')
const LEFTHOOK = join(MODULES, `lefthook-${process.platform}-${process.arch}`, 'bin', 'lefthook')

const VARIANTS = [
  'no hooks',
  'empty hooks',
  'headgate',
  'husky',
  'lefthook',
  'husky, headgate',
  'lefthook, headgate',
] as const
type Variant = (typeof VARIANTS)[number]

function makeClone(variant: Variant): TestRepository {
  const repository = new TestRepository({ install: false })
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(repository.clone, path)), { recursive: true })
    writeFileSync(join(repository.clone, path), text, { mode: 0o755 })
  }
  repository.env.PATH += `:${dirname(LEFTHOOK)}`
  if (variant === 'empty hooks')
    for (const name of CLIENT_HOOKS) write(`.git/hooks/${name}`, '#!/bin/sh\nexit 0\n')
  if (variant.startsWith('husky')) {
    symlinkSync(MODULES, join(repository.clone, 'node_modules'))
    write('.git/info/exclude', 'node_modules\n')
    write('package.json', '{ "devDependencies": { "husky": "9" } }\n')
    execFileSync(process.execPath, [join(MODULES, 'husky', 'bin.js')], {
      cwd: repository.clone,
      env: repository.env,
    })
    if (variant === 'husky') for (const name of ['pre-commit', 'pre-push']) write(`.husky/${name}`, 'true\n')
  }
  if (variant.startsWith('lefthook')) {
    const nothing = '\n  commands:\n    nothing:\n      run: "true"\n'
    write(
      'lefthook.yml',
      variant === 'lefthook' ? `pre-commit:${nothing}pre-push:${nothing}` : 'output: [failure]\n',
    )
    repository.mustRun(repository.run(LEFTHOOK, ['install'], { cwd: repository.clone }))
  }
  if (variant.endsWith('headgate')) {
    repository.mustRun(repository.headgate('init'))
    // As if the remote were guarded: what is measured is the way past the guard, on this side.
    writeRemoteList(join(repository.clone, '.git'), {
      node: process.execPath,
      app: PROGRAM,
      guarded: [
        { name: 'origin', url: repository.bare, staging: 'refs/heads/main', release: 'refs/heads/release' },
      ],
      open: [],
    })
  }
  repository.git('switch', '-q', '-c', 'topic')
  repository.git('add', '-A')
  repository.git('commit', '-q', '--allow-empty', '--no-verify', '-m', 'set up')
  return repository
}

export function measureClientHooks(rounds: number): void {
  const variants = VARIANTS.filter((variant) => !variant.startsWith('lefthook') || existsSync(LEFTHOOK))
  const clones = new Map(variants.map((variant) => [variant, makeClone(variant)]))
  const times = new Rounds()
  for (let round = 0; round < rounds; round++) {
    for (const [variant, repository] of clones) {
      writeFileSync(join(repository.clone, 'file.txt'), `${round}\n`)
      times.time(`${variant} commit`, () => repository.git('commit', '-q', '-a', '-m', `commit ${round}`))
      times.time(`${variant} push`, () =>
        repository.mustRun(repository.push(`topic:refs/heads/topic-${round}`)),
      )
    }
  }
  console.log(`client hooks on unguarded branches: median of ${rounds} rounds, over the same without hooks`)
  const more = (variant: Variant, what: string) => {
    const ms = times.median(`${variant} ${what}`) - times.median(`no hooks ${what}`)
    return `${ms < 0 ? '' : '+'}${ms.toFixed(1)}`
  }
  printTable([
    ['', 'commit', 'ms', 'push', 'ms'],
    ...variants.map((variant) => [
      variant,
      ...['commit', 'push'].flatMap((what) => [
        times.ratio(`${variant} ${what}`, `no hooks ${what}`),
        more(variant, what),
      ]),
    ]),
    ['no hooks, ms', times.median('no hooks commit'), '', times.median('no hooks push'), ''],
  ])
  for (const repository of clones.values()) repository.remove()
}
