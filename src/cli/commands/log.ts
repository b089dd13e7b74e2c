import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

export function logCommand(cli: Argv): Argv {
  return cli.command(
    'log [commit]',
    'List the moves of the release branch, export one, or catch up the release log',
    (command) =>
      command
        .positional('commit', { type: 'string', describe: 'only moves to or from this commit' })
        .options({ ...remoteOption, ...jsonOption })
        .option('offline', {
          type: 'boolean',
          default: false,
          describe: 'fetch nothing: use the copy of the ledger that is here',
        })
        .option('format', {
          choices: ['text', 'md', 'json'] as const,
          default: 'text' as const,
          describe: 'how to list',
        })
        .option('since', { type: 'string', describe: 'from this date on' })
        .option('until', { type: 'string', describe: 'before this date' })
        .option('by', { type: 'string', describe: 'pushed by this person' })
        .option('kind', {
          choices: ['promotion', 'rollback', 'override', 'bootstrap', 'policy'] as const,
          describe: 'moves of this kind; policy: what each policy changed',
        })
        .option('limit', { type: 'number', describe: 'only the last so many' })
        .option('export', {
          type: 'string',
          describe: 'print all statements about this commit, as an in-toto bundle (.intoto.jsonl)',
        })
        .option('receipt', {
          type: 'number',
          describe: 'print a receipt of the move that this record authorized: headgate verify --receipt FILE',
        })
        .option('append', {
          type: 'boolean',
          describe: 'append an entry to the release log for every landed move that has none (operator)',
        })
        .option('log-branch', {
          type: 'string',
          describe: 'with --append: write on this branch, to be reviewed, and not on the staging branch',
        })
        .conflicts('export', 'receipt')
        .implies('log-branch', 'append')
        .epilogue('It lists what the ledger says. Whether that is true, headgate verify finds out.\n')
        .epilogue(
          examples(
            ['the last ten moves, for a ticket', '$0 log --limit 10 --format md'],
            ['who may do what since when, and what was changed', '$0 log --kind policy'],
            ['everything that was signed about a commit', '$0 log --export 3f2c1ab > 3f2c1ab.intoto.jsonl'],
            ['after plain pushes, or when an entry could not be written', '$0 log --append'],
            ['proof of one move, for somebody without a clone', '$0 log --receipt 34 > receipt.json'],
          ),
        ),
    async (options) => {
      if (options.append) {
        const { catchUpReleaseLog } = await import('../../app/release/append-release-log.ts')
        const { showCaughtUp, tellAppend } = await import('../screens/release-log.ts')
        const { remote, logBranch } = options
        return showCaughtUp(await catchUpReleaseLog(thisCaller(), { remote, logBranch }, tellAppend))
      }
      const { log } = await import('../../app/audit/log.ts')
      const { requireDate } = await import('../../app/requirements.ts')
      const { showLog } = await import('../screens/log.ts')
      const dateOf = (text: string | undefined) => (text === undefined ? null : requireDate(text))
      const since = dateOf(options.since)
      const until = dateOf(options.until)
      showLog(await log(thisCaller(), { ...options, since, until }), options.json ? 'json' : options.format)
    },
  )
}
