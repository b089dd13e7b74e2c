/** Text of others in every output: nothing in it moves, hides or changes what people see, and programs get it as it is. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { escapeJson, jsonText, UNSAFE, visibleLines } from '../../src/core/printable.ts'
import { TestRepository } from '../make-repository.ts'

/** An escape, a C1 control, a bidirectional override, an isolate, a joiner, a tag character, a line separator. */
const EVIL = 'x\u001b[2J\u009b31m\u202e\u2066\u200d\u{e0041}\u2028\u00ady'
const HIDDEN = /[\p{Cc}\p{Cf}\u2028\u2029]/u

let repository: TestRepository
let commit: string
beforeAll(() => {
  repository = new TestRepository()
  repository.release('one')
  repository.git('config', 'user.name', EVIL)
  commit = repository.commit(`subject ${EVIL}`)
  repository.pushProved(commit)
  repository.mustRun(
    repository.push(`${commit}:refs/heads/release`, { args: ['-o', `note=${EVIL}`, '-o', `plan=${EVIL}`] }),
  )
  repository.commit(`another ${EVIL}`)
  repository.mustRun(repository.push('main'))
})
afterAll(() => repository.remove())

const lines = (text: string) => text.split('\n').join('')

test.each([
  ['status', '--json'],
  ['status'],
  ['check', 'HEAD', '--json'],
  ['check', 'HEAD'],
  ['log', '--json'],
  ['log'],
  ['log', '--format', 'md'],
  ['verify'],
  ['verify', '--format', 'json'],
  ['verify', '--format', 'sarif'],
  ['verify', '--format', 'junit'],
  ['verify', '--format', 'html'],
  ['evidence', 'list', '--json'],
  ['evidence', 'list'],
  ['doctor', '--json'],
  ['policy', 'show', '--json'],
])('%s %s %s', (...args) => {
  const ran = repository.headgate(...args)
  expect([0, 69, 77], ran.all).toContain(ran.code)
  expect(ran.stdout.length).toBeGreaterThan(0)
  expect(lines(ran.all)).not.toMatch(HIDDEN)
})

test('statements, receipts and attestations are JSON of visible characters', () => {
  const { moves } = JSON.parse(repository.headgate('log', '--json').stdout)
  const { record } = moves.find(({ to }: { to: string }) => to === commit)
  const outputs = [
    ['log', '--export', commit],
    ['log', '--receipt', String(record)],
    ['deploy-check', commit, '--environment', 'production', '--attestation=-'],
  ].map((args) => repository.headgate(...args))
  for (const ran of outputs) {
    expect(ran.code, ran.all).toBe(0)
    expect(lines(ran.stdout)).not.toMatch(HIDDEN)
  }
  writeFileSync(join(repository.folder, 'receipt'), outputs[1]?.stdout ?? '')
  const key = join(repository.bare, 'headgate/seal-key.pub')
  const verified = repository.headgate(
    'verify',
    '--receipt',
    join(repository.folder, 'receipt'),
    '--trust',
    key,
  )
  expect(verified.code, verified.all).toBe(0)
})

test('programs get the text as it is', () => {
  const status = JSON.parse(repository.headgate('status', '--json').stdout)
  const subject = repository.git('log', '-1', '--format=%s', commit)
  expect(status.release.subject).toBe(subject)
  expect(HIDDEN.test(subject)).toBe(true)
})

describe('the one writer of JSON', () => {
  test('says the same with visible characters, whatever the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 2), (value, space) => {
        const text = jsonText(value, space)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
        expect(text.replaceAll('\n', '')).not.toMatch(new RegExp(UNSAFE.source, 'u'))
      }),
    )
    expect(escapeJson(JSON.stringify({ [EVIL]: EVIL }))).toBe(jsonText({ [EVIL]: EVIL }))
    expect(JSON.parse(jsonText({ [EVIL]: EVIL }))).toEqual({ [EVIL]: EVIL })
  })

  test('is the only one among what is printed', () => {
    const folder = resolve(import.meta.dirname, '../../src/cli')
    const printing = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('demo'))
      .filter((name) =>
        /(?:print|write|note|say)\w*\([^\n]*JSON\.stringify|return JSON\.stringify/.test(
          readFileSync(join(folder, name), 'utf8'),
        ),
      )
    expect(printing).toEqual([])
  })
})

test('a file that is shown on a terminal keeps its lines and hides nothing', () => {
  expect(visibleLines(`a: 1\n\tb: ${EVIL}\n`)).toBe(
    'a: 1\n\tb: x\\x1b[2J\\x9b31m\\u{202e}\\u{2066}\\u{200d}\\u{e0041}\\u{2028}\\xady\n',
  )
})
