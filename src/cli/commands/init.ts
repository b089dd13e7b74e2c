import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { thisCaller } from '../this-caller.ts'

export function initCommand(cli: Argv): Argv {
  return cli.command(
    'init',
    'Put the client hooks into this clone, beside husky, lefthook, pre-commit or none (developer)',
    (command) =>
      command
        .option('policy', {
          type: 'boolean',
          default: false,
          describe: 'also write a starting .headgate/ with comments, where there is none',
        })
        .option('remove', { type: 'boolean', default: false, describe: 'take the hooks out again' })
        .epilogue(
          [
            'pre-push gives the verdict of the server before anything is sent; pre-commit, pre-merge-commit and ' +
              'prepare-commit-msg keep commits off the release branch. Hooks that are there are kept and run as well.',
            examples(
              ['in a clone; safe to run again', '$0 init'],
              ['a project that starts with headgate', '$0 init --policy'],
              ['everything as it was', '$0 init --remove'],
            ),
          ].join('\n\n'),
        ),
    async ({ remove, policy }) => {
      const { init, removeHooks } = await import('../../app/init.ts')
      const { showRemoved, tellInit } = await import('../screens/init.ts')
      const caller = thisCaller()
      if (remove) showRemoved(await removeHooks(caller))
      else await init(caller, { policy }, tellInit)
    },
  )
}
