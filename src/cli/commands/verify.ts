import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'

export function verifyCommand(cli: Argv): Argv {
  return cli.command(
    'verify',
    'Prove every move of the release branch from the ledger, without trusting the server (auditors)',
    (command) =>
      command
        .options({ ...remoteOption, ...jsonOption })
        .option('offline', {
          type: 'boolean',
          default: false,
          describe: 'fetch nothing: use the copy of the ledger that is here',
        })
        .option('trust', {
          type: 'string',
          describe: "file with what you know from elsewhere: the server's seal-key.pub, pinned records",
        })
        .option('since', {
          type: 'string',
          describe: 'list and judge only what was recorded since this date',
        })
        .option('commit', { type: 'string', describe: 'everything about one commit, without a full read' })
        .option('receipt', {
          type: 'string',
          describe: 'check this file, made by headgate log --receipt, and nothing else',
        })
        .option('served', {
          type: 'boolean',
          default: false,
          describe: 'ask production, too, whether it serves the release',
        })
        .option('full', {
          type: 'boolean',
          default: false,
          describe: 'verify from the first record, also what was verified before',
        })
        .option('format', {
          choices: ['text', 'json', 'sarif', 'html', 'junit'] as const,
          default: 'text' as const,
          describe: 'how to report',
        })
        .epilogue(
          'What was verified is remembered in this clone: the next run checks that the ledger extends it, and verifies ' +
            'only what is new.\n',
        )
        .epilogue('Exit codes: 0 verified, 77 rules were broken, 65 the ledger is broken, 69 try again.\n')
        .epilogue(
          examples(
            ['in any clone', '$0 verify --trust seal-key.pub'],
            ['for a web page, and for CI', '$0 verify --format html > audit.html'],
            ['one commit, at once', '$0 verify --commit 3f2c1ab'],
          ),
        ),
    async (options) => {
      const { verify } = await import('../../app/audit/verify.ts')
      await verify({ ...options, format: options.json ? 'json' : options.format })
    },
  )
}
