import type { Argv } from 'yargs'
import { examples } from '../examples.ts'

export function demoCommand(cli: Argv): Argv {
  return cli.command(
    'demo',
    'The guided tour: a guarded repository, a tiny staging and production, in a temporary folder',
    (command) =>
      command
        .option('keep', {
          type: 'boolean',
          default: false,
          describe: 'leave the folder, with hints on how to go on by hand',
        })
        .epilogue(examples(['every rule on real git, in under 15 seconds', '$0 demo'])),
    async ({ keep }) => {
      const { runDemo } = await import('../demo/run-demo.ts')
      await runDemo({ keep })
    },
  )
}
