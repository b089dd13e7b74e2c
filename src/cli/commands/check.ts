import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'

export function checkCommand(cli: Argv): Argv {
  return cli.command(
    'check [commit]',
    'What would the server say of a push, rule by rule? Nothing is sent',
    (command) =>
      command
        .positional('commit', { type: 'string', default: 'HEAD', describe: 'the commit to push' })
        .options(remoteOption)
        .option('to', {
          type: 'string',
          describe: 'branch to push it to [default: the release branch of the policy]',
        })
        .option('as', { type: 'string', describe: 'who pushes [default: any operator]' })
        .options(jsonOption)
        .epilogue(
          [
            'Exit codes: 0 the server takes it, 77 it refuses, 69 could not tell.',
            examples(
              ['may this commit go to production?', '$0 check 3f2c1ab'],
              ['may I push what I have to main?', '$0 check --to main'],
            ),
          ].join('\n\n'),
        ),
    async (options) => {
      const { check } = await import('../check.ts')
      await check(options)
    },
  )
}
