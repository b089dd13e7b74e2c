/**
 * The folder of one relay: what it relays, its keys, and the cache, which may be deleted at any time. Who can read the
 * keys can move the release branch.
 */
import { spawnSync } from 'node:child_process'
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { shellWord } from '../../core/printable.ts'
import { LEDGER_BRANCH, LEDGER_REF } from '../../core/refs.ts'
import * as z from '../../core/zod-mini.ts'
import { findGit } from '../../git/find-git.ts'
import { replaceFile } from '../../git/own-files.ts'
import { sealKeyLine, sealKeyOf } from '../../guard/seal-key.ts'
import { openCache } from '../../relay/cache.ts'
import { Host } from '../../relay/host.ts'
import type { Relay, RelayEvent } from '../../relay/relay.ts'
import type { Caller, Environment } from '../caller.ts'

const SETTINGS = 'relay.json'
const SEAL_KEY = 'seal-key.pem'
const DEPLOY_KEY = 'deploy-key'

const settingsSchema = z.strictObject({
  version: z.literal(1),
  host: z.string().check(z.minLength(1), z.maxLength(2048)),
  ledger: z.enum(['branch', 'ref']),
})

export type RelayFolder = {
  readonly folder: string
  readonly host: string
  readonly sealKeyLine: string
  /** One line for the host; null where the host is reached in another way. */
  readonly deployKeyLine: string | null
}

/** Makes the folder and its keys; what is there stays. `url` as git takes it. */
export function makeRelayFolder(folder: string, url: string, ledger: 'branch' | 'ref'): RelayFolder {
  requireNoPassword(url)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const settings = join(folder, SETTINGS)
  if (existsSync(settings)) {
    const { host } = readSettings(folder)
    if (host !== url)
      throw new HeadgateError('configuration', `${folder} is the relay of ${host}`, {
        hint: 'name another folder',
      })
  } else replaceFile(settings, `${JSON.stringify({ version: 1, host: url, ledger }, null, 2)}\n`)
  const sealKey = join(folder, SEAL_KEY)
  if (!existsSync(sealKey)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    replaceFile(sealKey, privateKey.export({ type: 'pkcs8', format: 'pem' }), { secret: true })
  }
  replaceFile(join(folder, 'seal-key.pub'), `${sealKeyLine(readSealKey(folder, {}))}\n`)
  return describeFolder(folder)
}

/** A key that the host can let in, beside the others. Its private half has no passphrase: a relay runs alone. */
export function makeDeployKey(folder: string): string {
  const file = join(folder, DEPLOY_KEY)
  if (!existsSync(file)) {
    const made = spawnSync(
      'ssh-keygen',
      ['-q', '-t', 'ed25519', '-N', '', '-C', 'headgate-relay', '-f', file],
      {
        encoding: 'utf8',
      },
    )
    if (made.status !== 0)
      throw new HeadgateError(
        'unavailable',
        `ssh-keygen made no key: ${made.stderr?.split('\n')[0] ?? made.error?.message}`,
      )
  }
  return readFileSync(`${file}.pub`, 'utf8').trim()
}

export function describeFolder(folder: string): RelayFolder {
  const { host } = readSettings(folder)
  const deployKey = join(folder, `${DEPLOY_KEY}.pub`)
  return {
    folder,
    host,
    sealKeyLine: readFileSync(join(folder, 'seal-key.pub'), 'utf8').trim(),
    deployKeyLine: existsSync(deployKey) ? readFileSync(deployKey, 'utf8').trim() : null,
  }
}

/**
 * Opens what the folder names. The host is reached with the deploy key, or with the token of HEADGATE_RELAY_TOKEN or of
 * the file that HEADGATE_RELAY_TOKEN_FILE names, or as git is configured; `asCaller`: in the last way alone.
 */
export async function openRelay(
  caller: Caller,
  folder: string,
  { tell, asCaller = false }: { readonly tell: (event: RelayEvent) => void; readonly asCaller?: boolean },
): Promise<Relay> {
  const { environment } = caller
  const { host: url, ledger } = readSettings(folder)
  const sealKey = sealKeyOf(readSealKey(folder, environment))
  const token = asCaller ? undefined : tokenOf(environment)
  if (token !== undefined) requireSecret(url)
  const gitPath = findGit(environment)
  const deployKey = join(folder, DEPLOY_KEY)
  const cacheFolder = join(folder, 'cache.git')
  const access = {
    url,
    gitPath,
    environment,
    sshKey: !asCaller && existsSync(deployKey) ? deployKey : undefined,
    token,
  }
  mkdirSync(cacheFolder, { recursive: true, mode: 0o700 })
  const listed = await new Host(access, cacheFolder).list(['refs/heads/*', 'refs/headgate/*'])
  const isLong = [...listed.values()].some((oid) => oid.length === 64)
  const cache = await openCache(cacheFolder, gitPath, isLong ? 'sha256' : 'sha1')
  const ledgerRef = ledger === 'branch' ? LEDGER_BRANCH : LEDGER_REF
  return { ledgerRef, host: new Host(access, cacheFolder), cache, sealKey, clock: Date.now, tell }
}

/** In a job of the host's CI the key comes from a secret, HEADGATE_SEAL_KEY, and no file is written. */
function readSealKey(folder: string, { HEADGATE_SEAL_KEY: given }: Environment): KeyObject {
  const file = join(folder, SEAL_KEY)
  const where = given ? 'HEADGATE_SEAL_KEY' : file
  try {
    const key = createPrivateKey(given || readFileSync(file, 'utf8'))
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw new HeadgateError('configuration', `the seal key in ${where} cannot be read`, {
      hint: 'headgate relay init makes one; in a CI job put it into the secret HEADGATE_SEAL_KEY',
      cause,
    })
  }
  throw new HeadgateError('configuration', `the seal key in ${where} is not an Ed25519 key`)
}

function tokenOf({
  HEADGATE_RELAY_TOKEN: token,
  HEADGATE_RELAY_TOKEN_FILE: file,
}: Environment): string | undefined {
  if (token) return token.trim()
  if (!file) return undefined
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new HeadgateError('configuration', `HEADGATE_RELAY_TOKEN_FILE: ${shellWord(file)} cannot be read`, {
      cause,
    })
  }
}

function readSettings(folder: string): z.output<typeof settingsSchema> {
  let text: string
  try {
    text = readFileSync(join(folder, SETTINGS), 'utf8')
  } catch (cause) {
    throw new HeadgateError('usage', `${shellWord(folder)} is no folder of a relay`, {
      hint: 'headgate relay init URL DIR makes one',
      cause,
    })
  }
  try {
    return settingsSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw new HeadgateError('configuration', `${join(folder, SETTINGS)} is damaged`, {
      hint: 'it says {"version": 1, "host": "URL", "ledger": "branch"}',
      cause,
    })
  }
}

/** A token must not go over a network for all to read. */
function requireSecret(url: string): void {
  if (!/^http:\/\//i.test(url) || !URL.canParse(url)) return
  const { hostname } = new URL(url)
  if (/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return
  throw new HeadgateError('configuration', 'a token would go to the host without encryption', {
    hint: 'reach the host by https, or without HEADGATE_RELAY_TOKEN',
  })
}

/** It would be in a file, in messages and in every list of processes. */
function requireNoPassword(url: string): void {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return
  const { username, password } = new URL(url)
  if (username === '' && password === '') return
  throw new HeadgateError('usage', 'the URL of the host must not carry a user name or a password', {
    hint: 'put the token into HEADGATE_RELAY_TOKEN, or into a file that HEADGATE_RELAY_TOKEN_FILE names',
  })
}
