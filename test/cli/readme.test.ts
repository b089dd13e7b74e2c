/** What README.md shows is what happens. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { guarded } from './run-program.ts'

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
  const repository = guarded()
  const first = repository.release('one')
  const second = repository.commit('two')
  repository.mustRun(repository.push('main'))
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

test('every command and option that it shows exists', () => {
  const repository = guarded({ install: false })
  const commands = [...README.matchAll(/^headgate ((?:[a-z]+(?:-[a-z]+)* ?)+)(.*?)(?:>>.*)?$/gm)]
  expect(commands.length).toBeGreaterThan(5)
  for (const [, words = '', rest = ''] of commands) {
    const help = repository.headgate(...words.trim().split(' ').slice(0, 2), '--help').stdout
    for (const [option] of rest.matchAll(/--[a-z-]+/g))
      expect(help, `${words}${option}`).toContain(`${option} `)
  }
})
