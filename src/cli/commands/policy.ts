import type { Argv } from 'yargs'
import { HeadgateError } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { note, plural, print, printJson } from '../output.ts'
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
              default: '.',
              describe: 'a .headgate folder, or the folder that holds it',
            })
            .option('json', { type: 'boolean', default: false, describe: 'print the policy as JSON' })
            .epilogue(examples(['the policy of this working tree, ./.headgate', '$0 policy check'])),
        async ({ dir, json }) => {
          const { parsePolicySource, readPolicyFolder } = await import('../../../server/policy-files.ts')
          const { policyRemarks } = await import('../../audit/policy-remarks.ts')
          const source = readPolicyFolder(dir)
          const inForce = parsePolicySource(source)
          const remarks = policyRemarks(inForce)
          if (json) return printJson({ policy: inForce.policy, remarks })
          for (const remark of remarks) note(`remark: ${remark}`)
          const { staging, release, environments } = inForce.policy
          print(
            `${source.from} is a valid policy: ${release} follows ${staging}, ${plural(environments.staging.gates.length, 'staging gate')}, ${plural(inForce.signers.length, 'key')}`,
          )
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
            .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
            .epilogue(
              examples(
                ['what was reviewed on the staging branch', '$0 policy apply app.git'],
                ['what is in a folder', '$0 policy apply app.git ./policy'],
              ),
            ),
        async ({ repo, dir, json }) => {
          const { applyPolicyTo } = await import('../../../server/admin.ts')
          const applied = await applyPolicyTo(repo, dir)
          if (json) return printJson(applied)
          printPolicy(applied)
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
            .option('json', { type: 'boolean', default: false, describe: 'print JSON' })
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
          if (json) return printJson(files)
          print(`# policy version ${files.version}`)
          print(files.policy.trimEnd())
          print('\n# allowed_signers')
          print(files.allowedSigners.trimEnd())
        },
      )
      .demandCommand(1, 'say what to do: headgate policy check, apply or show'),
  )
}

async function inForceFiles(repo: string | undefined, remote: string) {
  if (repo !== undefined) {
    const { policyInForce } = await import('../../../server/admin.ts')
    return policyInForce(repo)
  }
  const { ClientRepository } = await import('../client-repository.ts')
  const { snapshot, close } = await new ClientRepository().fetchLedger(remote)
  try {
    return await snapshot.policyInForce()
  } finally {
    close()
  }
}
