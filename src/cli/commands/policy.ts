import type { Argv } from 'yargs'
import { lacksOfStagingFirst, PROFILES } from '../../audit/policy-profile.ts'
import { EXIT_CODES, HeadgateError } from '../../core/errors.ts'
import { jsonText } from '../../core/printable.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { note, plural, print, printExactly, printJson } from '../output.ts'
import { gitOfCaller, thisCaller } from '../this-caller.ts'
import { printPolicy } from './server.ts'

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
          const { parsePolicySource, readPolicyFolder } = await import(
            '../../../server/install/policy-files.ts'
          )
          const { policyRemarks } = await import('../../guard/policy-remarks.ts')
          const source = readPolicyFolder(dir ?? (await ownPolicyFolder()))
          const inForce = parsePolicySource(source)
          const remarks = policyRemarks(inForce)
          const lacks = profile === undefined ? [] : lacksOfStagingFirst(inForce.policy)
          if (lacks.length > 0) process.exitCode = EXIT_CODES.refused
          if (json) {
            printJson({ policy: inForce.policy, remarks, ...(profile === undefined ? {} : { lacks }) })
            return
          }
          for (const remark of remarks) note(`remark: ${remark}`)
          const { staging, release, environments } = inForce.policy
          print(
            `${source.from} is a valid policy: ${release} follows ${staging}, ${plural(environments.staging.gates.length, 'staging gate')}, ${plural(inForce.signers.length, 'key')}`,
          )
          if (profile === undefined) return
          print(lacks.length === 0 ? `it holds to ${profile}` : `it lacks for ${profile}:`)
          for (const lack of lacks) print(`  ${lack}`)
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
          const applied = await applyPolicyTo(repo, gitOfCaller(), dir)
          if (json) return printJson(applied)
          printPolicy(applied)
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
          const files = await inForceFiles(repo, remote)
          if (files === null) {
            throw new HeadgateError(
              'configuration',
              'no policy is in force: nothing is guarded but refs/headgate/',
              {
                hint: 'headgate policy apply REPO.git DIR',
              },
            )
          }
          const { version, policy, allowedSigners } = files
          if (json) return printExactly(jsonText({ version, policy, allowedSigners }, 2))
          printExactly(`# policy version ${version}`)
          printExactly(policy.trimEnd())
          printExactly('\n# allowed_signers')
          printExactly(allowedSigners.trimEnd())
        },
      )
      .demandCommand(1, 'say what to do: headgate policy check, apply, show or schema'),
  )
}

/** Where `policy check` looks if nothing is named. */
async function ownPolicyFolder(): Promise<string> {
  const { hasPolicy } = await import('../../../server/install/policy-files.ts')
  if (hasPolicy('.')) return '.'
  const { ClientRepository } = await import('../../app/clone/client-repository.ts')
  return (await new ClientRepository(thisCaller()).topLevel()) ?? '.'
}

async function inForceFiles(repo: string | undefined, remote: string) {
  if (repo !== undefined) {
    const { policyInForce } = await import('../../../server/install/admin.ts')
    return policyInForce(repo, gitOfCaller())
  }
  const { ClientRepository } = await import('../../app/clone/client-repository.ts')
  const { fetchLedger } = await import('../../app/clone/fetch-copies.ts')
  const { snapshot, close } = await fetchLedger(new ClientRepository(thisCaller()), remote)
  try {
    return await snapshot.policyInForce()
  } finally {
    close()
  }
}
