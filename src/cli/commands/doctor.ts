import type { Argv } from 'yargs'
import { EXIT_CODES } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

export function doctorCommand(cli: Argv): Argv {
  return cli.command(
    'doctor [repo]',
    'Examine a clone or a guarded repository: what is wrong, and how to put it right',
    (command) =>
      command
        .positional('repo', {
          type: 'string',
          describe: 'a clone, or a guarded bare repository on this machine [default: this folder]',
        })
        .option('fix', { type: 'boolean', default: false, describe: 'put right what can be done safely' })
        .options(jsonOption)
        .epilogue(
          [
            'Exit codes: 0 healthy, 77 problems. Remarks leave it healthy.',
            examples(
              ['the clone that you are in', '$0 doctor'],
              ['a repository that people push to, by its admin', '$0 doctor /srv/git/app.git --fix'],
            ),
          ].join('\n\n'),
        ),
    async ({ repo, fix, json }) => {
      const { diagnose } = await import('../../app/doctor/diagnose.ts')
      const { doctorJson, doctorText, tellDoctor } = await import('../screens/doctor.ts')
      const result = await diagnose(thisCaller(), { path: repo, fix }, tellDoctor)
      process.exitCode = result.healthy ? EXIT_CODES.ok : EXIT_CODES.refused
      if (json) doctorJson(result)
      else doctorText(result, !fix)
    },
  )
}
