import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import type { Argv } from 'yargs'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'
import { parseAllowedSigners } from '../../signing/allowed-signers.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { note, print, printJson } from '../output.ts'

const ROLES: Readonly<Record<string, string>> = {
  evidence: 'headgate-evidence',
  approval: 'headgate-approval',
  push: 'git',
}

export function keyCommand(cli: Argv): Argv {
  return cli.command('key', 'Make keys for CI and operators, and their allowed_signers lines', (key) =>
    key
      .command(
        'generate <file>',
        'Make an Ed25519 key pair and print its allowed_signers line',
        (command) =>
          command
            .positional('file', {
              type: 'string',
              demandOption: true,
              describe: 'where the private key goes; FILE.pub gets the public one',
            })
            .option('for', {
              type: 'string',
              demandOption: true,
              describe: 'what it may sign: evidence, approval, push, or several with commas',
            })
            .option('principal', {
              type: 'string',
              demandOption: true,
              describe: 'who it belongs to, as the policy names them',
            })
            .option('passphrase', { type: 'boolean', default: false, describe: 'ask for a passphrase' })
            .options(jsonOption)
            .epilogue(
              examples(
                ['for CI', '$0 key generate ci_key --for evidence --principal ci@example.com'],
                [
                  'for an operator',
                  '$0 key generate ~/.ssh/release --for approval,push \\',
                  '    --principal alice --passphrase',
                ],
              ),
            ),
        (options) => generate(options),
      )
      .command(
        'line <file>',
        'Print the allowed_signers line of a key that is there already',
        (command) =>
          command
            .positional('file', {
              type: 'string',
              demandOption: true,
              describe: 'the public key, as ssh-keygen writes it',
            })
            .option('for', {
              type: 'string',
              demandOption: true,
              describe: 'what it may sign: evidence, approval, push, or several with commas',
            })
            .option('principal', {
              type: 'string',
              demandOption: true,
              describe: 'who it belongs to, as the policy names them',
            })
            .options(jsonOption)
            .epilogue(
              examples([
                'of the key that an operator logs in with',
                '$0 key line ~/.ssh/id_ed25519.pub --for approval,push --principal alice',
              ]),
            ),
        (options) => printLine(options),
      )
      .demandCommand(1, 'say what to do: headgate key generate FILE, or key line FILE.pub'),
  )
}

type LineOptions = {
  readonly file: string
  readonly for: string
  readonly principal: string
  readonly json: boolean
}
type Options = LineOptions & { readonly passphrase: boolean }

/** Throws HeadgateError 'usage'. */
function readRoles(options: LineOptions): string[] {
  const { principal } = options
  const namespaces = options.for.split(',').map((role) => {
    const namespace = ROLES[role.trim()]
    if (namespace !== undefined) return namespace
    throw new HeadgateError('usage', `--for ${JSON.stringify(role)} is not a role`, {
      hint: `use ${Object.keys(ROLES).join(', ')}, or several with commas`,
    })
  })
  if (!/^[^\s"#,*?!\p{Cc}]+$/u.test(principal)) {
    throw new HeadgateError(
      'usage',
      `--principal ${JSON.stringify(principal)} cannot stand in allowed_signers`,
      {
        hint: 'a name or an e-mail address without spaces, quotes, commas and wildcards',
      },
    )
  }
  return namespaces
}

/** The largest RSA key, with a comment. */
const MAX_PUBLIC_KEY_BYTES = 16 * 1024

function printLine(options: LineOptions): void {
  const { file, principal, json } = options
  const namespaces = readRoles(options)
  const line = allowedSignersLine(principal, namespaces, readPublicKey(file))
  const [problem] = parseAllowedSigners(line).problems
  if (problem !== undefined) {
    throw new HeadgateError(
      'data',
      `${printable(file, 300)} is no public key for headgate: ${problem.message}`,
      {
        hint: 'name the .pub file of an SSH key; its private key stays where it is',
      },
    )
  }
  if (json) printJson({ publicKey: file, principal, namespaces, line })
  else print(line)
}

function readPublicKey(file: string): string {
  const no = (what: string, cause?: unknown) =>
    new HeadgateError('usage', `${printable(file, 300)} ${what}`, {
      hint: 'name the .pub file of an SSH key; its private key stays where it is',
      cause,
    })
  let text: string
  try {
    const status = statSync(file)
    if (!status.isFile()) throw no('is no file')
    if (status.size > MAX_PUBLIC_KEY_BYTES) throw no('is larger than 16 KiB')
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof HeadgateError) throw cause
    throw no('cannot be read', cause)
  }
  if (text.includes('PRIVATE KEY')) throw no('is a private key')
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const [line = '', ...more] = lines
  if (more.length > 0 || line === '') throw no('is not one public key')
  return line.trim()
}

/** `key` is a line of a .pub file: type, key, comment. */
function allowedSignersLine(principal: string, namespaces: readonly string[], key: string): string {
  const [type = '', blob = ''] = key.split(/[ \t]+/)
  return `${principal} namespaces="${namespaces.join(',')}" ${type} ${blob}`
}

function generate(options: Options): void {
  const { file, principal, passphrase, json } = options
  const namespaces = readRoles(options)
  for (const taken of [file, `${file}.pub`]) {
    if (existsSync(taken)) {
      throw new HeadgateError('usage', `${taken} exists already, and a key is never overwritten`, {
        hint: 'choose another file',
      })
    }
  }
  const args = ['-q', '-t', 'ed25519', '-C', principal, '-f', file, ...(passphrase ? [] : ['-N', ''])]
  const made = spawnSync('ssh-keygen', args, { stdio: ['inherit', 'ignore', 'pipe'], encoding: 'utf8' })
  if (made.error !== undefined || made.status !== 0) {
    const reason =
      made.error === undefined ? made.stderr.trim().split('\n').at(-1) : 'ssh-keygen cannot be started'
    throw new HeadgateError('configuration', `the key ${file} was not made: ${reason}`, {
      hint: 'install OpenSSH, and name a folder that exists and is yours',
    })
  }
  const line = allowedSignersLine(principal, namespaces, readPublicKey(`${file}.pub`))
  if (json) {
    printJson({ privateKey: file, publicKey: `${file}.pub`, principal, namespaces, line })
    return
  }
  const shown = process.stdout.isTTY ? 'This line goes' : 'The line on standard output goes'
  note(`${file} is the private key: it stays where it signs.\n${shown} into .headgate/allowed_signers.`)
  print(line)
}
