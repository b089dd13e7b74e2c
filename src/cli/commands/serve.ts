import { resolve } from 'node:path'
import type { Argv } from 'yargs'
import { examples } from '../examples.ts'

const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const

export function serveCommand(cli: Argv): Argv {
  return cli.command(
    'serve [repo..]',
    'Answer the hooks of guarded repositories from one process (server admin)',
    (command) =>
      command
        .positional('repo', {
          type: 'string',
          array: true,
          describe: 'bare repositories with headgate installed, or folders that are searched for them',
        })
        .option('list', {
          type: 'string',
          describe: 'a file that names more of them, one on each line',
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
            'It runs as the account that serves pushes. Without it the hooks decide by',
            'themselves, slower. Repositories that come and go are noticed within seconds,',
            'with SIGHUP at once. SIGTERM stops it within a second. How it is says',
            '  curl --unix-socket SOCKET http://headgate/healthz',
            '',
            examples(
              ['one repository', '$0 serve /srv/git/app.git'],
              ['all below a folder', '$0 serve /srv/git --socket /run/headgate/socket'],
            ),
          ].join('\n'),
        ),
    async ({ repo = [], list, socket, logLevel }) => {
      const { serve } = await import('../../../server/service/serve.ts')
      await serve({
        places: repo.map((path) => resolve(path)),
        list: list === undefined ? undefined : resolve(list),
        socket: socket === undefined ? undefined : resolve(socket),
        logLevel,
      })
    },
  )
}
