import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { remoteOption } from '../options.ts'

export function logCommand(cli: Argv): Argv {
  return cli.command(
    'log',
    'Write the entries that the release log lacks (operator)',
    (command) =>
      command
        .option('append', {
          type: 'boolean',
          demandOption: true,
          describe: 'append an entry for every landed move that has none',
        })
        .option('log-branch', {
          type: 'string',
          describe: 'write on this branch, to be reviewed, and not on the staging branch',
        })
        .options(remoteOption)
        .epilogue(
          examples(
            ['after plain pushes, or when an entry could not be written', '$0 log --append'],
            ['where main takes only reviewed changes', '$0 log --append --log-branch release-log'],
          ),
        ),
    async ({ remote, logBranch }) => {
      const { catchUpReleaseLog } = await import('../append-release-log.ts')
      await catchUpReleaseLog({ remote, logBranch })
    },
  )
}
