import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Argv } from 'yargs'
import { HeadgateError } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { note, print, printJson } from '../output.ts'

const ROLES: Readonly<Record<string, string>> = {
  evidence: 'headgate-evidence',
  approval: 'headgate-approval',
  push: 'git',
}

export function keyCommand(cli: Argv): Argv {
  return cli.command('key', 'Make keys for CI and operators', (key) =>
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
      .demandCommand(1, 'say what to do: headgate key generate FILE'),
  )
}

type Options = {
  readonly file: string
  readonly for: string
  readonly principal: string
  readonly passphrase: boolean
  readonly json: boolean
}

function generate({ file, principal, passphrase, json, ...options }: Options): void {
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
  const [type, blob] = readFileSync(`${file}.pub`, 'utf8').split(' ')
  const line = `${principal} namespaces="${namespaces.join(',')}" ${type} ${blob?.trim()}`
  if (json) {
    printJson({ privateKey: file, publicKey: `${file}.pub`, principal, namespaces, line })
    return
  }
  const shown = process.stdout.isTTY ? 'This line goes' : 'The line on standard output goes'
  note(`${file} is the private key: it stays where it signs. ${shown} into .headgate/allowed_signers.`)
  print(line)
}
