import type { Argv } from 'yargs'
import type { Check } from '../../app/check.ts'
import { EXIT_CODES } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

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
      const { check } = await import('../../app/check.ts')
      const { showCheck } = await import('../screens/check.ts')
      const found = await check(thisCaller(), options)
      process.exitCode = EXIT_CODES[outcomeOf(found)]
      showCheck(found, options)
    },
  )
}

function outcomeOf(found: Check): keyof typeof EXIT_CODES {
  if (found.kind !== 'judged' || found.foresight.answer === 'yes') return 'ok'
  if (found.foresight.answer === 'unclear') return 'unavailable'
  return found.enforced ? 'refused' : 'ok'
}
