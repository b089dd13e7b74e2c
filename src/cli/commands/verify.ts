import type { Argv } from 'yargs'
import { EXIT_CODES, HeadgateError } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

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
    async ({ trust, receipt, json, ...options }) => {
      const { readTrust, verify, verifyReceipt } = await import('../../app/audit/verify.ts')
      const { requireDate } = await import('../../app/requirements.ts')
      const screen = await import('../screens/verify.ts')
      const caller = thisCaller()
      const format = json ? 'json' : options.format
      const anchors = trust === undefined ? null : readTrust(caller, trust)
      if (receipt !== undefined) {
        if (format !== 'text' && format !== 'json') {
          throw new HeadgateError('usage', `there is no report of a receipt as ${format}`, {
            hint: 'leave --format out, or: --format json',
          })
        }
        screen.showReceipt(await verifyReceipt(caller, receipt, anchors), format)
        return
      }
      const since = options.since === undefined ? null : requireDate(options.since)
      // A timeline shows all moves, not only those since the last audit.
      const fromStart = options.full || format === 'html'
      const report = await verify(caller, { ...options, since, anchors, fromStart }, screen.tellVerify)
      await screen.showReport(report, format)
      process.exitCode = EXIT_CODES[report.outcome]
    },
  )
}
