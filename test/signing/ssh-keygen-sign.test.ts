import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Envelope } from '../../src/core/envelope.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { parseAllowedSigners } from '../../src/signing/allowed-signers.ts'
import { parseEnvelope, payloadBytes, preAuthEncoding } from '../../src/signing/dsse.ts'
import { parseSignatures, verifyEnvelope } from '../../src/signing/envelope-verify.ts'
import { signEnvelope } from '../../src/signing/ssh-keygen-sign.ts'
import { armor } from '../../src/signing/sshsig.ts'
import { KEY_KINDS, Workshop } from './ssh-keygen.ts'

const payload = '{"note":"ünï"}'
const namespace = 'headgate-evidence'
let workshop: Workshop
beforeAll(() => {
  workshop = new Workshop()
})
afterAll(() => workshop.close())
beforeEach(() => {
  for (const name of ['SSH_AUTH_SOCK', 'DISPLAY', 'WAYLAND_DISPLAY', 'SSH_ASKPASS'])
    vi.stubEnv(name, undefined)
})
afterEach(() => vi.unstubAllEnvs())

async function failure(keyFile: string): Promise<HeadgateError> {
  const error = await signEnvelope({ payload, namespace, keyFile }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(HeadgateError)
  return error as HeadgateError
}

/** Runs signEnvelope in a process of its own, which may have another terminal than whoever tests, or none. */
const SCRIPT = `
  import { signEnvelope } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../src/signing/ssh-keygen-sign.ts')).href)}
  signEnvelope({ payload: '{}', namespace: 'git', keyFile: process.argv[2] }).then(
    (envelope) => console.log('signed by', envelope.signatures[0].keyid),
    (error) => console.log(error.code, '|', error.message, '|', error.hint),
  )`

describe('signEnvelope', () => {
  it.each(KEY_KINDS)('signs with a key of type %s', async (kind) => {
    const key = workshop.key(kind)
    const envelope = await signEnvelope({ payload, namespace, keyFile: key.file })
    expect(envelope.signatures).toHaveLength(1)
    expect(envelope.signatures[0]?.keyid).toBe(key.fingerprint)
    expect(payloadBytes(envelope).toString()).toBe(payload)
    expect(parseEnvelope(Buffer.from(JSON.stringify(envelope)))).toEqual(envelope)
    const { signers } = parseAllowedSigners(`ci ${key.line}`)
    expect(verifyEnvelope(parseSignatures(envelope), signers, namespace, Date.now()).trust).toMatchObject({
      principal: 'ci',
    })
    // By hand, as DESIGN promises.
    const message = preAuthEncoding(envelope.payloadType, payloadBytes(envelope))
    const armored = armor(Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64'))
    const asked = { allowed: `ci ${key.line}\n`, principal: 'ci', namespace, armor: armored, message }
    expect(workshop.verifies(asked)).toBe(true)
  })

  it('signs bytes as they are', async () => {
    const bytes = Buffer.from([0, 255, 10, 13])
    const envelope = await signEnvelope({ payload: bytes, namespace, keyFile: workshop.key().file })
    expect(payloadBytes(envelope).equals(bytes)).toBe(true)
  })

  it('does not return an envelope that is too large for the server', async () => {
    const signing = signEnvelope({ payload: 'x'.repeat(60_000), namespace, keyFile: workshop.key().file })
    await expect(signing).rejects.toMatchObject({
      code: 'data',
      message: expect.stringContaining('at most 65536 are accepted'),
    })
  })

  it('signs with a certificate beside the private key', async () => {
    const authority = workshop.key()
    const certificate = workshop.certificate(authority, workshop.key(), '-n', 'alice')
    const envelope = await signEnvelope({ payload, namespace, keyFile: `${certificate.file}.pub` })
    const { signers } = parseAllowedSigners(`* cert-authority ${authority.line}`)
    expect(verifyEnvelope(parseSignatures(envelope), signers, namespace, Date.now()).trust).toMatchObject({
      principal: 'alice',
    })
  })

  it('signs with a key whose private half only the agent has', async () => {
    const socket = join(workshop.folder, 'agent')
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      await new Promise((resolve) => agent.stdout.once('data', resolve))
      vi.stubEnv('SSH_AUTH_SOCK', socket)
      const key = workshop.key('ecdsa 256')
      execFileSync('ssh-add', ['-q', key.file], { stdio: 'ignore' })
      rmSync(key.file)
      for (const keyFile of [`${key.file}.pub`, key.file]) {
        const envelope = await signEnvelope({ payload, namespace, keyFile })
        expect(envelope.signatures[0]?.keyid).toBe(key.fingerprint)
      }
      const absent = workshop.key()
      rmSync(absent.file)
      expect((await failure(`${absent.file}.pub`)).message).toContain('there is no usable private key')
    } finally {
      agent.kill()
    }
  })
})

describe('signEnvelope says what is wrong with', () => {
  it('a file that is missing', async () => {
    const error = await failure(join(workshop.folder, 'absent'))
    expect(error).toMatchObject({
      code: 'configuration',
      message: `key file ${workshop.folder}/absent does not exist`,
      hint: 'name the file of an SSH key, such as ~/.ssh/id_ed25519',
    })
  })

  it('a folder', async () => {
    expect((await failure(workshop.folder)).message).toBe(`key file ${workshop.folder} is a directory`)
  })

  it.skipIf(process.getuid?.() === 0)('a file that may not be read', async () => {
    const { file } = workshop.key()
    chmodSync(file, 0)
    expect((await failure(file)).message).toBe(`key file ${file} is not readable for this user`)
  })

  it('a public key without its private half', async () => {
    const { file } = workshop.key()
    rmSync(file)
    const error = await failure(`${file}.pub`)
    expect(error).toMatchObject({
      code: 'configuration',
      message: `there is no usable private key for ${file}.pub, neither in the agent nor in a file`,
      hint: 'add the private key to the agent with ssh-add, or name its file',
    })
    copyFileSync(`${file}.pub`, `${file}-other`)
    chmodSync(`${file}-other`, 0o600)
    expect((await failure(`${file}-other`)).message).toContain('there is no usable private key')
  })

  it('a file that is no key', async () => {
    const file = workshop.file('hello\n')
    chmodSync(file, 0o600)
    expect(await failure(file)).toMatchObject({
      code: 'configuration',
      message: `${file} is not an SSH key`,
      hint: 'make one with: ssh-keygen -t ed25519',
    })
  })

  it('a private key that others can read', async () => {
    const { file } = workshop.key()
    chmodSync(file, 0o644)
    const error = await failure(file)
    expect(error).toMatchObject({ code: 'configuration', message: `${file} is readable for others` })
    expect(error.hint).toBe(`chmod 600 ${file}`)
  })

  it('a file name that a shell would not take for one', async () => {
    const file = join(workshop.folder, "it's $& here")
    expect((await failure(file)).message).toBe(
      `key file '${workshop.folder}/it'\\''s $& here' does not exist`,
    )
    copyFileSync(workshop.key().file, file)
    chmodSync(file, 0o644)
    expect((await failure(file)).hint).toBe(`chmod 600 '${workshop.folder}/it'\\''s $& here'`)
  })

  it('a key that nobody accepts', async () => {
    const { file } = workshop.key('rsa 1024')
    expect(await failure(file)).toMatchObject({
      code: 'configuration',
      message: `the signature made with ${file} is not usable: RSA key has 1024 bits, at least 2048 are needed`,
      hint: 'use another key, such as one made with: ssh-keygen -t ed25519',
    })
  })

  it('a private key that is damaged', async () => {
    const { file } = workshop.key()
    writeFileSync(file, readFileSync(file).subarray(0, 200))
    expect((await failure(file)).message).toBe(
      `there is no usable private key for ${file}, neither in the agent nor in a file`,
    )
  })

  it('a machine without ssh-keygen', async () => {
    const { file } = workshop.key()
    vi.stubEnv('PATH', workshop.folder)
    expect(await failure(file)).toMatchObject({
      code: 'configuration',
      message: 'ssh-keygen cannot be started (ENOENT)',
      hint: 'install OpenSSH 8.2 or newer and have ssh-keygen in PATH',
    })
  })

  it('a passphrase that nobody can be asked for', async () => {
    const key = workshop.key()
    execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', key.file], { stdio: 'ignore' })
    // Detached: a session of its own, without a terminal.
    const child = spawn(process.execPath, ['--input-type=module', '-', key.file], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child.stdin.end(SCRIPT)
    let output = ''
    for await (const text of child.stdout) output += text
    expect(output).toBe(
      `configuration | ${key.file} needs a passphrase or PIN, which was not given or is wrong | ` +
        `run it on a terminal, or unlock the key first: ssh-add ${key.file}\n`,
    )
  })

  it('a key that nobody touches', async () => {
    // A stand-in that waits like a hardware key, and does not mind being asked to end.
    const folder = join(workshop.folder, 'waiting')
    mkdirSync(folder)
    writeFileSync(join(folder, 'ssh-keygen'), '#!/bin/sh\ntrap "" TERM\nsleep 30 &\nwait\nsleep 30\n', {
      mode: 0o755,
    })
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    const started = performance.now()
    const signing = signEnvelope({ payload, namespace, keyFile: workshop.file('x'), timeoutMs: 300 })
    await expect(signing).rejects.toMatchObject({
      code: 'unavailable',
      message: 'ssh-keygen did not sign within 0.3 seconds',
    })
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  it('an agent or program that signs something else', async () => {
    const key = workshop.key()
    const folder = join(workshop.folder, 'lying')
    mkdirSync(folder)
    const real = execFileSync('sh', ['-c', 'command -v ssh-keygen'], { encoding: 'utf8' }).trim()
    const stand = (body: string) =>
      writeFileSync(join(folder, 'ssh-keygen'), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
    stand(`cat >/dev/null; echo other | ${real} -Y sign -n ${namespace} -f ${key.file}`)
    expect((await failure(key.file)).message).toBe(
      `the signature made with ${key.file} is not usable: it does not verify`,
    )
    stand(`${real} -Y sign -n other -f ${key.file}`)
    expect((await failure(key.file)).message).toBe(
      `the signature made with ${key.file} is not usable: it does not verify`,
    )
    stand('cat >/dev/null; echo nonsense')
    expect(await failure(key.file)).toMatchObject({
      code: 'configuration',
      message: `the signature made with ${key.file} is not usable: not an armored SSH signature`,
    })
    stand('echo "first line" >&2; echo "no luck\t today" >&2; exit 3')
    expect((await failure(key.file)).message).toBe(
      `ssh-keygen could not sign with ${key.file}: no luck\\x09 today`,
    )
  })
})

const hasScript = spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0

it.skipIf(!hasScript)('a passphrase is asked for on the terminal', async () => {
  const key = workshop.key()
  execFileSync('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', key.file], { stdio: 'ignore' })
  const file = `${workshop.file('')}.ts`
  writeFileSync(file, SCRIPT)
  const terminal = spawn('script', ['-qec', `'${process.execPath}' '${file}' '${key.file}'`, '/dev/null'])
  let output = ''
  let answered = false
  for await (const text of terminal.stdout) {
    output += text
    if (answered || !output.includes('passphrase')) continue
    answered = true
    terminal.stdin.write('secret\n')
  }
  expect(output).toContain(`signed by ${key.fingerprint}`)
})

it('an envelope has one form', async () => {
  const key = workshop.key()
  const [first, second] = (await Promise.all(
    [0, 1].map(() => signEnvelope({ payload, namespace, keyFile: key.file })),
  )) as [Envelope, Envelope]
  expect(first).toEqual(second)
})
