import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync, existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import { PAYLOAD_TYPE } from '../src/core/statement.ts'
import { type Envelope, preAuthEncoding } from '../src/signing/dsse.ts'
import { createSshsig, ed25519PublicKeyLine, parseSshsig } from '../src/signing/sshsig.ts'
import { SERVER_DIRECTORY, writeWhole } from './settings.ts'

/** The SSH signature namespace of everything that the server signs. */
export const SEAL_NAMESPACE = 'headgate-ledger'

/** The server's own key: seals records and signs authorizations, outcomes and policies, in this process. */
export type SealKey = {
  /** One OpenSSH line, `ssh-ed25519 AAAA... headgate-seal`. */
  readonly publicKeyLine: string
  /** Base64 of the SSHSIG blob over `bytes`, namespace `headgate-ledger`. */
  seal(bytes: Uint8Array): string
  /** The payload in a DSSE envelope that this key signed. */
  sign(payload: string): Envelope
}

/** Makes the key if the repository has none; a key that exists is never replaced. */
export function ensureSealKey(gitDirectory: string, fileMode: number): void {
  const path = keyPath(gitDirectory)
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    const fresh = `${path}.${process.pid}`
    writeFileSync(fresh, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flush: true })
    chmodSync(fresh, fileMode)
    try {
      // Whole or not at all, and of two installations at once one key stays.
      linkSync(fresh, path)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    } finally {
      rmSync(fresh)
    }
  }
  writeWhole(`${path.slice(0, -'.pem'.length)}.pub`, `${readSealKey(gitDirectory).publicKeyLine}\n`)
}

export function readSealKey(gitDirectory: string): SealKey {
  const path = keyPath(gitDirectory)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw code === 'ENOENT'
      ? new HeadgateError('configuration', `the seal key ${path} is missing`, {
          hint: 'restore it from a backup, or make a new one: headgate server install',
          cause,
        })
      : new HeadgateError('configuration', `the seal key ${path} cannot be read (${code})`, {
          hint: 'the account that runs git must be able to read it',
          cause,
        })
  }
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey(text)
  } catch (cause) {
    throw new HeadgateError('configuration', `the seal key ${path} is damaged`, {
      hint: 'restore it from a backup; or remove it, and headgate server install makes a new one',
      cause,
    })
  }
  if (privateKey.asymmetricKeyType !== 'ed25519') {
    throw new HeadgateError('configuration', `the seal key ${path} is not an Ed25519 key`)
  }
  let keyid: string | undefined
  const signature = (message: Uint8Array) => createSshsig({ privateKey, namespace: SEAL_NAMESPACE, message })
  return {
    publicKeyLine: publicLine(privateKey),
    seal: (bytes) => signature(bytes).toString('base64'),
    sign: (payload) => {
      const bytes = Buffer.from(payload, 'utf8')
      const blob = signature(preAuthEncoding(PAYLOAD_TYPE, bytes))
      keyid ??= parseSshsig(blob).fingerprint
      return {
        payloadType: PAYLOAD_TYPE,
        payload: bytes.toString('base64'),
        signatures: [{ keyid, sig: blob.toString('base64') }],
      }
    },
  }
}

function keyPath(gitDirectory: string): string {
  return join(gitDirectory, SERVER_DIRECTORY, 'seal-key.pem')
}

function publicLine(privateKey: KeyObject): string {
  return ed25519PublicKeyLine(createPublicKey(privateKey), 'headgate-seal')
}
