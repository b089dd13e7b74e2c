import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'

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
        async ({ file, for: roles, principal, passphrase, json }) => {
          const { generateKey } = await import('../../app/keys.ts')
          const { generatedJson, generatedText } = await import('../screens/key.ts')
          const made = generateKey({ file, roles, principal, passphrase })
          if (json) generatedJson(made, file)
          else generatedText(made, file)
        },
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
        async ({ file, for: roles, principal, json }) => {
          const { lineOfKey } = await import('../../app/keys.ts')
          const { print, printJson } = await import('../output.ts')
          const known = lineOfKey({ file, roles, principal })
          if (json) printJson(known)
          else print(known.line)
        },
      )
      .demandCommand(1, 'say what to do: headgate key generate FILE, or key line FILE.pub'),
  )
}
