import type { Argv } from 'yargs'

export function demoCommand(cli: Argv): Argv {
  return cli.command(
    'demo',
    'The guided tour: a guarded repository, a tiny staging and production, in a temporary folder',
    (command) =>
      command.option('keep', {
        type: 'boolean',
        default: false,
        describe: 'leave the folder, with hints on how to go on by hand',
      }),
    async ({ keep }) => {
      const { runDemo } = await import('../demo/run-demo.ts')
      await runDemo({ keep })
    },
  )
}
