import type { Argv } from 'yargs'

/** For the hooks in clones alone, so that no help lists it. */
export function hookCommand(cli: Argv): Argv {
  return cli.command('hook', false, (hook) =>
    hook
      .command(
        'pre-push <remote> [url]',
        'Judge the push that git describes on standard input',
        (command) =>
          command
            .positional('remote', { type: 'string', demandOption: true, describe: 'name of the remote' })
            .positional('url', { type: 'string', describe: 'where the push goes' }),
        async ({ remote, url }) => {
          const { prePush } = await import('../../app/pre-push.ts')
          const chunks: Buffer[] = []
          for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
          await prePush(remote, url ?? remote, Buffer.concat(chunks))
        },
      )
      .demandCommand(1, 'name a hook: headgate hook pre-push'),
  )
}
