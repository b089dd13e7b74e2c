/**
 * `REPO.git/headgate/seal-key.pem`: the server's private key, PKCS #8. It is a link to the key's file beside it,
 * `.seal-key-<digest of its public half>.pem`: git copies whatever it finds in a folder that is named as a template, modes
 * aside, but not what begins with a dot, so that no repository made from this one has the key.
 */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import { replaceFile } from '../src/git/own-files.ts'
import { type SealKey, sealKeyLine, sealKeyOf } from '../src/guard/seal-key.ts'
import { SERVER_DIRECTORY } from './settings.ts'

/** Makes the key if the repository has none; a key that exists is never replaced, only its mode is put right. */
export function ensureSealKey(gitDirectory: string): void {
  const path = sealKeyPath(gitDirectory)
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    const name = hiddenName(privateKey)
    const text = privateKey.export({ type: 'pkcs8', format: 'pem' })
    replaceFile(join(gitDirectory, SERVER_DIRECTORY, name), text, { secret: true })
    // What it names is gone.
    rmSync(path, { force: true })
    try {
      symlinkSync(name, path)
    } catch (cause) {
      // Of two installations at once one key stays.
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
      rmSync(join(gitDirectory, SERVER_DIRECTORY, name))
    }
  }
  const { publicKeyLine } = readSealKey(gitDirectory)
  if (isSealKeyInSight(gitDirectory)) hideKey(gitDirectory)
  else if (sealKeyFiles(gitDirectory).includes(realpathSync(path)))
    replaceFile(realpathSync(path), readFileSync(path), { secret: true })
  replaceFile(join(gitDirectory, SERVER_DIRECTORY, 'seal-key.pub'), `${publicKeyLine}\n`)
}

/** Whether a repository that is made from this one as a template would get the key. */
export function isSealKeyInSight(gitDirectory: string): boolean {
  return lstatSync(sealKeyPath(gitDirectory), { throwIfNoEntry: false })?.isFile() ?? false
}

/** At every moment the key is found by its own name. */
function hideKey(gitDirectory: string): void {
  const path = sealKeyPath(gitDirectory)
  const text = readFileSync(path)
  const name = hiddenName(createPrivateKey(text))
  replaceFile(join(gitDirectory, SERVER_DIRECTORY, name), text, { secret: true })
  const link = join(gitDirectory, SERVER_DIRECTORY, `${name}~`)
  rmSync(link, { force: true })
  symlinkSync(name, link)
  renameSync(link, path)
}

function hiddenName(privateKey: KeyObject): string {
  const digest = createHash('sha256').update(sealKeyLine(privateKey)).digest('hex')
  return `.seal-key-${digest.slice(0, 16)}.pem`
}

/** Keys that were replaced, and whose files nobody took away. */
export function formerSealKeys(gitDirectory: string): string[] {
  const path = sealKeyPath(gitDirectory)
  const inUse = existsSync(path) ? realpathSync(path) : path
  return sealKeyFiles(gitDirectory).filter((file) => file !== path && file !== inUse)
}

/** Every private key that was ever made here and is still there, by its path. */
export function sealKeyFiles(gitDirectory: string): string[] {
  const folder = join(gitDirectory, SERVER_DIRECTORY)
  const names = existsSync(folder) ? readdirSync(folder) : []
  return names
    .filter((name) => /^(?:seal-key|\.seal-key-\w+)\.pem$/.test(name))
    .map((name) => join(folder, name))
}

export function readSealKey(gitDirectory: string): SealKey {
  const path = sealKeyPath(gitDirectory)
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
  return sealKeyOf(privateKey)
}

export function sealKeyPath(gitDirectory: string): string {
  return join(gitDirectory, SERVER_DIRECTORY, 'seal-key.pem')
}
