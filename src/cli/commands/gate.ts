import type { Argv } from 'yargs'
import type { ProveOptions } from '../../app/gate/prove.ts'
import { EXIT_CODES, HeadgateError } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption, keyOption, remoteOption } from '../options.ts'
import type { Asked } from '../screens/gate.ts'
import { thisCaller } from '../this-caller.ts'

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
      const { makeWayFor } = await import('../named-file.ts')
      for (const option of ['report', 'junit'] as const) makeWayFor(option, options[option])
      await proveAndShow(options)
    },
  )
}

async function proveAndShow(options: Omit<ProveOptions, 'signal'> & Asked): Promise<void> {
  const { prove } = await import('../../app/gate/prove.ts')
  const { GateScreen, NOTHING_BEGAN } = await import('../screens/gate.ts')
  const { Interruption } = await import('../interruption.ts')
  const caller = thisCaller()
  const interruption = new Interruption(NOTHING_BEGAN)
  const screen = new GateScreen(caller, options, interruption)
  try {
    const proof = await prove(caller, { ...options, signal: interruption.signal }, screen.tell)
    screen.showProof(proof)
    if (proof.run.superseded) process.exitCode = EXIT_CODES.unavailable
    else if (proof.run.result === 'FAILED') process.exitCode = EXIT_CODES.refused
  } catch (cause) {
    screen.fail()
    // On a terminal, Ctrl-C ends git and ssh-keygen as well: what they say of it is not the reason.
    if (!interruption.signal.aborted || !(cause instanceof HeadgateError)) throw cause
    throw new HeadgateError('unavailable', interruption.words, { cause })
  } finally {
    interruption.end()
  }
}
