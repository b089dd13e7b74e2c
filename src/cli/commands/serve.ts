import { resolve } from 'node:path'
import type { Argv } from 'yargs'
import { examples } from '../examples.ts'

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const

export function serveCommand(cli: Argv): Argv {
  return cli.command(
    'serve <repo..>',
    'Answer the hooks of guarded repositories from one process (server admin)',
    (command) =>
      command
        .positional('repo', {
          type: 'string',
          array: true,
          demandOption: true,
          describe: 'paths of bare repositories with headgate installed',
        })
        .option('socket', {
          type: 'string',
          describe: 'unix socket to listen on [default: headgate/socket in the first repository]',
        })
        .option('log-level', {
          choices: LOG_LEVELS,
          default: 'info' as const,
          describe: 'what is logged, as JSON lines on standard output',
        })
        .epilogue(
          [
            'It runs as the account that serves pushes. Without it the hooks decide by themselves, slower.',
            'SIGTERM stops it gracefully, SIGHUP opens everything anew. GET /healthz says how it is:',
            '  curl --unix-socket SOCKET http://headgate/healthz',
            '',
            examples(['all repositories', '$0 serve /srv/git/*.git --socket /run/headgate/socket']),
          ].join('\n'),
        ),
    async ({ repo, socket, logLevel }) => {
      const { serve } = await import('../../../server/serve.ts')
      await serve({
        repositories: repo.map((path) => resolve(path)),
        socket: socket === undefined ? undefined : resolve(socket),
        logLevel,
      })
    },
  )
}
