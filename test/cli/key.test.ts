import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { guarded } from './run-program.ts'

test('makes a key pair, and stdout is nothing but its allowed_signers line', () => {
  const repository = guarded({ install: false })
  const file = join(repository.folder, 'new key')
  const ran = repository.headgate('key', 'generate', file, '--for', 'approval,push', '--principal', 'carol')
  expect(ran.code).toBe(0)
  expect(ran.stderr).toBe(
    `${file} is the private key: it stays where it signs.\nThe line on standard output goes into .headgate/allowed_signers.\n`,
  )
  const [type, blob] = readFileSync(`${file}.pub`, 'utf8').split(' ')
  expect(ran.stdout).toBe(`carol namespaces="headgate-approval,git" ${type} ${blob}\n`)
  expect(parseAllowedSigners(ran.stdout)).toMatchObject({
    problems: [],
    signers: [{ principals: ['carol'] }],
  })
  expect(statSync(file).mode & 0o777).toBe(0o600)
})

test('never overwrites a key, and says what is wrong with a call', () => {
  const repository = guarded({ install: false })
  const call = (...args: string[]) => {
    const ran = repository.headgate('key', 'generate', ...args)
    expect(ran.stdout).toBe('')
    return `${ran.stderr}exit ${ran.code}`
  }
  const taken = repository.key('ci')
  const before = readFileSync(taken, 'utf8')
  const who = ['--principal', 'x']
  expect(call(taken, '--for', 'evidence', ...who)).toBe(
    `headgate: ${taken} exists already, and a key is never overwritten\n  hint: choose another file\nexit 64`,
  )
  expect(readFileSync(taken, 'utf8')).toBe(before)
  const halves = join(repository.folder, 'half')
  writeFileSync(`${halves}.pub`, '')
  expect(call(halves, '--for', 'evidence', ...who)).toContain(`${halves}.pub exists already`)
  expect(call('new', '--for', 'evidence,deploy', ...who)).toBe(
    'headgate: --for "deploy" is not a role\n  hint: use evidence, approval, push, or several with commas\nexit 64',
  )
  for (const principal of ['a b', 'a,b', '*', '#x', '!x', '"x"'])
    expect(call('new', '--for', 'evidence', '--principal', principal)).toMatch(
      /^headgate: --principal ".+" cannot stand in allowed_signers\n {2}hint: a name or an e-mail address .+\nexit 64$/,
    )
  expect(call('/nonexistent/folder/key', '--for', 'evidence', ...who)).toMatch(
    /^headgate: the key \/nonexistent\/folder\/key was not made: .+\n {2}hint: install OpenSSH, and name a folder that exists and is yours\nexit 78$/,
  )
})

test('the line of a key that is there already, and of nothing else', () => {
  const repository = guarded({ install: false })
  const call = (file: string, ...args: string[]) =>
    repository.headgate('key', 'line', file, '--for', 'approval,push', '--principal', 'carol', ...args)
  const file = `${repository.key('alice')}.pub`
  const [type, blob] = readFileSync(file, 'utf8').split(' ')
  const line = `carol namespaces="headgate-approval,git" ${type} ${blob?.trim()}`
  expect(call(file)).toMatchObject({ stdout: `${line}\n`, stderr: '', code: 0 })
  expect(JSON.parse(call(file, '--json').stdout)).toEqual({
    publicKey: file,
    principal: 'carol',
    namespaces: ['headgate-approval', 'git'],
    line,
  })
  const other = join(repository.folder, 'other.pub')
  for (const [text, reason, code] of [
    ['ssh-ed25519 AAAA x\n', 'is no public key for headgate', 65],
    ['ssh-dss AAAAB3NzaC1kc3MAAACBAA== x\n', 'is no public key for headgate', 65],
    [`${readFileSync(file, 'utf8')}${readFileSync(file, 'utf8')}`, 'is not one public key', 64],
    ['', 'is not one public key', 64],
    [readFileSync(repository.key('alice'), 'utf8'), 'is a private key', 64],
    ['x'.repeat(20_000), 'is larger than 16 KiB', 64],
  ] as const) {
    writeFileSync(other, text)
    const ran = call(other)
    expect(ran.stdout).toBe('')
    expect(ran.stderr).toContain(`headgate: ${other} ${reason}`)
    expect(ran.stderr).toContain('hint: name the .pub file of an SSH key')
    expect(ran.code).toBe(code)
  }
  expect(call(repository.folder).stderr).toContain('is no file')
  expect(call(join(repository.folder, 'none.pub')).stderr).toContain('cannot be read')
})
