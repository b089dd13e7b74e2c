import type { Argv } from 'yargs'
import { PROFILES } from '../../audit/policy-profile.ts'
import { EXIT_CODES } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { printJson } from '../output.ts'
import { gitOfCaller, thisCaller } from '../this-caller.ts'

export function policyCommand(cli: Argv): Argv {
  return cli.command('policy', 'Check, apply and show the policy of a guarded repository', (policy) =>
    policy
      .command(
        'check [dir]',
        'Check policy.yaml and allowed_signers; lists every problem with line and column',
        (command) =>
          command
            .positional('dir', {
              type: 'string',
              describe:
                'a .headgate folder, or the folder that holds it [default: this one, else the top of the working tree]',
            })
            .option('profile', {
              choices: PROFILES,
              describe: 'a list to hold the policy to; says what it lacks',
            })
            .option('json', { type: 'boolean', default: false, describe: 'print the policy as JSON' })
            .epilogue(
              examples(
                ['the policy of this working tree, .headgate/', '$0 policy check'],
                ['that of a folder', '$0 policy check ./policy'],
                [
                  'has it the gates of the staging-first workflow?',
                  '$0 policy check --profile staging-first',
                ],
              ),
            ),
        async ({ dir, json, profile }) => {
          const { checkPolicy } = await import('../../app/policy.ts')
          const { checkedJson, checkedText } = await import('../screens/policy.ts')
          const checked = await checkPolicy(thisCaller(), { folder: dir, profile })
          if (checked.lacks !== null && checked.lacks.length > 0) process.exitCode = EXIT_CODES.refused
          if (json) checkedJson(checked)
          else checkedText(checked, profile)
        },
      )
      .command(
        'apply <repo> [dir]',
        'Put a policy in force on a guarded repository (server admin)',
        (command) =>
          command
            .positional('repo', {
              type: 'string',
              demandOption: true,
              describe: 'path of the bare repository',
            })
            .positional('dir', {
              type: 'string',
              describe: 'folder with the policy [default: .headgate/ at the tip of the staging branch]',
            })
            .options(jsonOption)
            .epilogue(
              examples(
                ['what was reviewed on the staging branch', '$0 policy apply app.git'],
                ['what is in a folder', '$0 policy apply app.git ./policy'],
              ),
            ),
        async ({ repo, dir, json }) => {
          const { applyPolicyTo } = await import('../../../server/install/admin.ts')
          const { showApplied } = await import('../screens/policy.ts')
          const applied = await applyPolicyTo(repo, gitOfCaller(), dir)
          if (json) printJson(applied)
          else showApplied(applied)
        },
      )
      .command(
        'schema',
        'Print the JSON Schema of policy.yaml, for editors',
        (command) =>
          command.epilogue(
            examples(
              [
                'beside the policy, which names it in its first line',
                '$0 policy schema > .headgate/policy.schema.json',
              ],
              ['that line', '# yaml-language-server: $schema=policy.schema.json'],
            ),
          ),
        async () => {
          const { policySchemaText } = await import('../../app/starting-policy.ts')
          process.stdout.write(policySchemaText())
        },
      )
      .command(
        'show [repo]',
        'Show the policy in force: of a bare repository on this machine, or of a remote of this clone',
        (command) =>
          command
            .positional('repo', { type: 'string', describe: 'path of the bare repository' })
            .option('remote', {
              type: 'string',
              default: 'origin',
              describe: 'remote to ask where no REPO is named',
            })
            .options(jsonOption)
            .epilogue(
              examples(
                ['of the remote origin', '$0 policy show'],
                ['on the server', '$0 policy show /srv/git/app.git'],
              ),
            ),
        async ({ repo, remote, json }) => {
          const { policyFilesInForce } = await import('../../app/policy.ts')
          const { showFiles } = await import('../screens/policy.ts')
          showFiles(await policyFilesInForce(thisCaller(), { path: repo, remote }), json)
        },
      )
      .demandCommand(1, 'say what to do: headgate policy check, apply, show or schema'),
  )
}
