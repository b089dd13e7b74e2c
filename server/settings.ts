/**
 * `REPO.git/headgate/`: what `server install` leaves beside the hooks.
 *
 *     server.json        identity source, host, and the programs that the hooks run (this file's format)
 *     seal-key.pem       the server's private seal key (`seal-key.ts`)
 *     seal-key.pub       its public half as an OpenSSH line
 *     guarded            full names of the refs that the shell hooks must not let pass by themselves, one a line
 */
import { join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import * as z from '../src/core/zod-mini.ts'
import { replaceFile } from '../src/git/own-files.ts'
import { readRegularFile } from '../src/git/tree-file.ts'
import { HOSTS } from './hook-places.ts'

export const SERVER_DIRECTORY = 'headgate'

const ENVIRONMENT_NAME = /^[A-Z_][A-Z0-9_]{0,99}$/

const settingsSchema = z.strictObject({
  version: z.literal(1),
  identity: z.string(),
  git: z.string().check(z.startsWith('/')),
  host: z._default(z.enum(HOSTS), 'plain'),
  /** The hooks tell each pusher what they do. Nobody but the server admin says so: see docs/operations.md. */
  debug: z._default(z.boolean(), false),
})

export type ServerSettings = z.output<typeof settingsSchema>

/** Where the pusher's name comes from; set at install, never guessed. */
export type IdentitySource =
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'push-cert' | 'ssh-auth-info' }

/** Parses `env:NAME`, `push-cert` or `ssh-auth-info`. */
export function parseIdentitySource(text: string): IdentitySource {
  if (text === 'push-cert' || text === 'ssh-auth-info') return { kind: text }
  const name = /^env:(.*)$/.exec(text)?.[1]
  if (name !== undefined && ENVIRONMENT_NAME.test(name)) return { kind: 'env', name }
  throw new HeadgateError('usage', `identity source ${JSON.stringify(text)} is not one that headgate knows`, {
    hint: 'use env:NAME (env:REMOTE_USER for smart HTTP, env:GL_USER for Gitolite, env:USER for separate accounts with git-shell), ssh-auth-info (the key that logged in) or push-cert',
  })
}

export function settingsPath(gitDirectory: string): string {
  return join(gitDirectory, SERVER_DIRECTORY, 'server.json')
}

export function writeSettings(gitDirectory: string, settings: ServerSettings): void {
  // What is off is left out: a version of headgate that does not know it refuses a key that it does not know.
  const { debug, ...rest } = settings
  replaceFile(settingsPath(gitDirectory), `${JSON.stringify(debug ? settings : rest, null, 2)}\n`)
}

/** An account that shares the repository's folder can put a pipe or a device into the place of a file. */
const MAX_SETTINGS_BYTES = 64 * 1024

/** Reads and checks the settings of a guarded repository. */
export function readSettings(gitDirectory: string): ServerSettings {
  const path = settingsPath(gitDirectory)
  let text: string
  try {
    const bytes = readRegularFile(path, MAX_SETTINGS_BYTES)
    if (bytes === null) throw new Error('there is none')
    text = bytes.toString('utf8')
  } catch (cause) {
    throw new HeadgateError(
      'configuration',
      `${gitDirectory} has no readable ${SERVER_DIRECTORY}/server.json`,
      {
        hint: `run: headgate server install ${gitDirectory} --identity SOURCE`,
        cause,
      },
    )
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new HeadgateError('configuration', `${path} is not JSON`, {
      hint: 'run headgate server install again',
      cause,
    })
  }
  const parsed = settingsSchema.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new HeadgateError('configuration', `${path}: ${issue?.path.join('.')}: ${issue?.message}`, {
      hint: 'run headgate server install again',
    })
  }
  return parsed.data
}
