import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption, keyOption, remoteOption } from '../options.ts'

export function gateCommand(cli: Argv): Argv {
  return cli.command(
    'gate',
    'Run the gates of the policy against a running environment; record the result (CI, operators)',
    (command) =>
      command
        .option('mode', {
          choices: ['staging', 'prod'] as const,
          describe: 'which environment [default: $MODE, else staging]',
        })
        .option('url', { type: 'string', describe: "base URL [default: $BASE, else the policy's]" })
        .option('commit', {
          type: 'string',
          describe: 'the commit that the environment must serve [default: HEAD; for prod the release]',
        })
        .option('wait', {
          type: 'string',
          describe: 'how long to wait for the environment to serve the commit, such as 10m',
        })
        .option('record', {
          type: 'boolean',
          default: false,
          describe: 'sign the result and push it to the inbox of the remote',
        })
        .options({ ...keyOption, ...remoteOption })
        .option('ci-url', { type: 'string', describe: 'link to the CI run, kept in the evidence' })
        .option('report', { type: 'string', describe: 'write the results to this file as HTML' })
        .option('junit', { type: 'string', describe: 'write the results to this file as JUnit XML' })
        .options(jsonOption)
        .epilogue(
          'With --record the gates are those of the policy in force on the remote, since only they count there; ' +
            'without it, those of .headgate/policy.yaml in the working tree.\n',
        )
        .epilogue(
          examples(
            ['try the gates of ./.headgate/policy.yaml against staging', '$0 gate'],
            [
              'in CI, after the deploy to staging has begun',
              '$0 gate --wait 10m --record --key ci_key --junit gates.xml',
            ],
            ['in place of a script of your own', 'MODE=staging BASE=https://staging.example.com $0 gate'],
            [
              'production smoke, after a promotion',
              'MODE=prod BASE=https://www.example.com $0 gate --record --key ci_key',
            ],
          ),
        ),
    async (options) => {
      const { runGateCommand } = await import('../run-gate-command.ts')
      await runGateCommand(options)
    },
  )
}
