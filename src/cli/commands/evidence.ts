import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption, keyOption, remoteOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

export function evidenceCommand(cli: Argv): Argv {
  return cli.command('evidence', 'Add, list and invalidate evidence', (evidence) =>
    evidence
      .command(
        'add',
        'Record results that another tool produced',
        (command) =>
          command
            .option('commit', { type: 'string', demandOption: true, describe: 'the commit that was tested' })
            .option('passed', {
              type: 'string',
              array: true,
              default: [] as string[],
              describe: 'gates that passed',
            })
            .option('failed', {
              type: 'string',
              array: true,
              default: [] as string[],
              describe: 'gates that failed',
            })
            .option('junit', {
              type: 'string',
              array: true,
              default: [] as string[],
              describe: 'JUnit XML files; each test case is a gate of that name',
            })
            .option('environment', {
              choices: ['staging', 'production'] as const,
              default: 'staging' as const,
              describe: 'where the results come from',
            })
            .option('served-commit', {
              type: 'string',
              describe: 'the full commit id that the environment reported before and after the run',
            })
            .option('url', {
              type: 'string',
              describe:
                'where the environment was reached [default: its URL in the policy, where it has one only]',
            })
            .option('ci-url', { type: 'string', describe: 'link to the CI run, kept in the evidence' })
            .options({ ...keyOption, ...remoteOption, ...jsonOption })
            .epilogue(
              examples(
                [
                  'by name; staging reported the commit before and after the run',
                  '$0 evidence add --commit HEAD --passed health chat \\',
                  '    --served-commit "$(git rev-parse HEAD)" --key ci_key',
                ],
                ['from a test report', '$0 evidence add --commit HEAD --junit results.xml --key ci_key'],
              ),
            ),
        async (options) => {
          const { addEvidence } = await import('../../app/statements/add-evidence.ts')
          const { showAdded, tellSubmit } = await loadScreens()
          showAdded(await addEvidence(thisCaller(), options, tellSubmit), options)
        },
      )
      .command(
        'list [commit]',
        'List the evidence about a commit',
        (command) =>
          command
            .positional('commit', { type: 'string', default: 'HEAD', describe: 'a commit of this clone' })
            .options(remoteOption)
            .options(jsonOption)
            .epilogue(
              examples(
                ['of what is checked out', '$0 evidence list'],
                ['of a commit', '$0 evidence list 3f2c1ab'],
              ),
            ),
        async (options) => {
          const { listEvidence } = await import('../../app/statements/list-evidence.ts')
          const { showEvidence } = await loadScreens()
          showEvidence(await listEvidence(thisCaller(), options), options)
        },
      )
      .command(
        'invalidate <commit>',
        'Take back all evidence about a commit',
        (command) =>
          command
            .positional('commit', { type: 'string', demandOption: true, describe: 'a commit of this clone' })
            .option('reason', { type: 'string', demandOption: true, describe: 'why; everybody will read it' })
            .options({ ...keyOption, ...remoteOption, ...jsonOption })
            .option('as', {
              choices: ['evidence', 'approval'] as const,
              describe: 'the role that the key signs in [default: the one that it is trusted for]',
            })
            .epilogue(
              examples([
                'it takes new evidence to promote the commit now',
                '$0 evidence invalidate 3f2c1ab --key ci_key \\',
                '    --reason "staging ran on the wrong database"',
              ]),
            ),
        async (options) => {
          const { invalidateEvidence } = await import('../../app/statements/invalidate-evidence.ts')
          const { showInvalidated, tellSubmit } = await loadScreens()
          showInvalidated(await invalidateEvidence(thisCaller(), options, tellSubmit), options)
        },
      )
      .demandCommand(1, 'say what to do: headgate evidence add, list or invalidate'),
  )
}

async function loadScreens() {
  return { ...(await import('../screens/evidence.ts')), ...(await import('../screens/submit.ts')) }
}
