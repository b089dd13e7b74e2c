import type { Argv } from 'yargs'
import { EXIT_CODES } from '../../core/errors.ts'
import { thisCaller } from '../this-caller.ts'

/** The hook lets everything pass but a refusal; where nothing could be told, the server decides. */
const PRE_PUSH_CODES = {
  passes: EXIT_CODES.ok,
  refused: EXIT_CODES.refused,
  unclear: EXIT_CODES.unavailable,
  'no-answer': EXIT_CODES.unavailable,
} as const

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
          const { showPrePush } = await import('../screens/pre-push.ts')
          const chunks: Buffer[] = []
          for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
          const lines = Buffer.concat(chunks)
          const verdict = await prePush(thisCaller(), { remote, url: url ?? remote, lines })
          showPrePush(verdict, remote)
          process.exitCode = PRE_PUSH_CODES[verdict.kind]
          // What is open still must not keep the push waiting.
          if (verdict.kind === 'no-answer') process.exit()
        },
      )
      .demandCommand(1, 'name a hook: headgate hook pre-push'),
  )
}
