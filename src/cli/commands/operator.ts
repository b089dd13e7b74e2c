import type { Argv } from 'yargs'
import { WAIVABLE } from '../../core/verdict.ts'
import { examples } from '../examples.ts'
import { jsonOption, keyOption, remoteOption } from '../options.ts'

const reason = {
  reason: { type: 'string', demandOption: true, describe: 'why; everybody will read it' },
} as const

/** What all of them need once they run. */
async function loaded() {
  const [screen, { tellSubmit }, { thisCaller }] = await Promise.all([
    import('../screens/operator.ts'),
    import('../screens/submit.ts'),
    import('../this-caller.ts'),
  ])
  return { ...screen, tellSubmit, thisCaller }
}

export function operatorCommands(cli: Argv): Argv {
  return cli
    .command(
      'approve',
      'Sign the permission for one rollback, from exactly one commit to exactly one other (approver)',
      (command) =>
        command
          .option('from', { type: 'string', demandOption: true, describe: 'the release that is in trouble' })
          .option('to', {
            type: 'string',
            demandOption: true,
            describe: 'the known-good release to go back to',
          })
          .options(reason)
          .option('trigger', { type: 'string', describe: 'what raised the alarm' })
          .option('symptoms', { type: 'string', describe: 'what users see' })
          .option('expires', { type: 'string', default: '1h', describe: 'how long it is valid' })
          .options({ ...keyOption, ...remoteOption, ...jsonOption })
          .epilogue(
            examples([
              'it prints the push that then lands, once',
              '$0 approve --from 3f2c1ab --to 9d0e1f2 --reason "checkout fails" \\',
              '    --key ~/.ssh/release',
            ]),
          ),
      async (options) => {
        const { approve } = await import('../../app/statements/permit.ts')
        const { showApproval, tellSubmit, thisCaller } = await loaded()
        showApproval(await approve(thisCaller(), options, tellSubmit), options)
      },
    )
    .command(
      'override',
      'Break the glass: waive named rules once, for exactly one move (operator)',
      (command) =>
        command
          .option('from', { type: 'string', demandOption: true, describe: 'where the release branch is' })
          .option('to', { type: 'string', demandOption: true, describe: 'where it must go' })
          .option('waive', {
            type: 'string',
            array: true,
            demandOption: true,
            describe: `the rules: ${[...WAIVABLE].join(', ')}`,
          })
          .options(reason)
          .option('expires', { type: 'string', default: '15m', describe: 'how long it is valid' })
          .options({ ...keyOption, ...remoteOption, ...jsonOption })
          .epilogue(
            examples([
              'it prints the push that then lands, once, and every audit shows it',
              '$0 override --from 3f2c1ab --to 77aa001 --waive evidence \\',
              '    --reason "staging is down, CVE fix" --key ~/.ssh/release',
            ]),
          ),
      async (options) => {
        const { override } = await import('../../app/statements/permit.ts')
        const { showOverride, tellSubmit, thisCaller } = await loaded()
        showOverride(await override(thisCaller(), options, tellSubmit), options)
      },
    )
    .command(
      'freeze',
      'Refuse promotions until a time; rollbacks stay possible (operator)',
      (command) =>
        command
          .option('for', { type: 'string', default: '24h', describe: 'how long' })
          .options({ ...reason, ...keyOption, ...remoteOption, ...jsonOption })
          .epilogue(
            examples(['over a weekend', '$0 freeze --for 2d --reason "sale weekend" --key ~/.ssh/release']),
          ),
      async (options) => {
        const { freeze } = await import('../../app/statements/freeze.ts')
        const { showFreeze, tellSubmit, thisCaller } = await loaded()
        showFreeze(await freeze(thisCaller(), { ...options, duration: options.for }, tellSubmit), options)
      },
    )
    .command(
      'unfreeze',
      'End a freeze (operator)',
      (command) =>
        command
          .options({ ...reason, ...keyOption, ...remoteOption, ...jsonOption })
          .epilogue(
            examples(['before its time is up', '$0 unfreeze --reason "sale is over" --key ~/.ssh/release']),
          ),
      async (options) => {
        const { freeze } = await import('../../app/statements/freeze.ts')
        const { showFreeze, tellSubmit, thisCaller } = await loaded()
        showFreeze(await freeze(thisCaller(), { ...options, duration: null }, tellSubmit), options)
      },
    )
    .command(
      'drift',
      'Accept a release branch that was moved behind the guard, with the reason (operator)',
      (command) =>
        command
          .option('branch', {
            type: 'string',
            describe: 'the release branch or, where a relay guards, the staging branch [default: the former]',
          })
          .options({ ...reason, ...keyOption, ...remoteOption, ...jsonOption })
          .epilogue(
            examples([
              'when a refusal names the rule drift, and somebody knows why',
              '$0 drift --reason "restored from backup" --key ~/.ssh/release',
            ]),
          ),
      async (options) => {
        const { acceptDrift } = await import('../../app/statements/accept-drift.ts')
        const { showDrift, tellSubmit, thisCaller } = await loaded()
        showDrift(await acceptDrift(thisCaller(), options, tellSubmit), options)
      },
    )
    .command(
      'retire <branch>',
      'Let go of a branch that an earlier policy named, and that is guarded since (operator)',
      (command) =>
        command
          .positional('branch', { type: 'string', demandOption: true, describe: 'such as release' })
          .options({ ...reason, ...keyOption, ...remoteOption, ...jsonOption })
          .epilogue(
            examples([
              'after a policy that names another release branch',
              '$0 retire release --key ~/.ssh/release \\',
              '    --reason "production deploys from live now"',
            ]),
          ),
      async (options) => {
        const { retire } = await import('../../app/statements/retire.ts')
        const { showRetired, tellSubmit, thisCaller } = await loaded()
        showRetired(await retire(thisCaller(), options, tellSubmit), options)
      },
    )
}
