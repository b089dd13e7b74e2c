import type { Argv } from 'yargs'
import { HOSTS } from '../../../server/hook-places.ts'
import { shellWord } from '../../core/printable.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { note, print, printJson } from '../output.ts'
import { gitOfCaller } from '../this-caller.ts'

export function serverCommand(cli: Argv): Argv {
  return cli.command('server', 'Guard a bare repository on this machine (server admin)', (server) =>
    server
      .command(
        'install <repo>',
        'Install the hooks in a bare repository and apply its policy',
        (command) =>
          command
            .positional('repo', {
              type: 'string',
              demandOption: true,
              describe: 'path of the bare repository',
            })
            .option('identity', {
              type: 'string',
              describe:
                'where the name of a pusher comes from: env:NAME, ssh-auth-info or push-cert [default: as before]',
            })
            .option('host', {
              choices: HOSTS,
              describe: 'who runs the hooks [default: plain git, or what it was before]',
            })
            .option('policy', {
              type: 'string',
              describe:
                'folder with policy.yaml and allowed_signers [default: .headgate/ at the tip of main]',
            })
            .option('debug-hooks', {
              type: 'boolean',
              describe:
                'have the hooks tell each pusher what they do; --no-debug-hooks ends it [default: as before]',
            })
            .options(jsonOption)
            .epilogue(
              examples(
                [
                  'smart HTTP, with the policy of a folder',
                  '$0 server install app.git --identity env:REMOTE_USER --policy DIR',
                ],
                [
                  'an account with git-shell for each person',
                  '$0 server install app.git --identity env:USER',
                ],
                ['Gitea, Forgejo', '$0 server install app.git --identity env:GITEA_PUSHER_NAME --host gitea'],
                [
                  'one account, a key for each person (sshd: ExposeAuthInfo yes)',
                  '$0 server install app.git --identity ssh-auth-info',
                ],
                ['people are known by git push --signed', '$0 server install app.git --identity push-cert'],
              ),
            ),
        async ({ repo, identity, host, policy, debugHooks, json }) => {
          const { installAndApply } = await import('../../../server/install/admin.ts')
          const done = await installAndApply({
            path: repo,
            gitPath: gitOfCaller(),
            named: identity,
            folder: policy,
            host,
            debug: debugHooks,
          })
          if (json) return printJson(done)
          print(`headgate is installed in ${done.repository}; pushers are known by ${done.identity}`)
          for (const name of done.kept) {
            const order = name === 'post-receive' ? 'it runs last' : 'it runs first, and both must pass'
            print(`  the ${name} hook that was there is kept; ${order}`)
          }
          for (const setting of done.settings) print(`  set ${setting}`)
          for (const remark of done.remarks) note(`remark: ${remark}`)
          if (done.policy === null) {
            note('No policy is in force yet, so nothing is guarded but refs/headgate/. Next:')
            note(`  headgate policy apply ${shellWord(repo)} DIR`)
            return
          }
          printPolicy(done.policy)
        },
      )
      .command(
        'uninstall <repo>',
        'Take the hooks out again; the ledger, seal keys and reflogs stay',
        (command) =>
          command
            .positional('repo', {
              type: 'string',
              demandOption: true,
              describe: 'path of the bare repository',
            })
            .option('purge', {
              type: 'boolean',
              default: false,
              describe: 'remove seal keys, and the reflogs of guarded branches, too',
            })
            .options(jsonOption)
            .epilogue(examples(['existing hooks and settings come back', '$0 server uninstall app.git'])),
        async ({ repo, json, purge }) => {
          const { uninstallServer } = await import('../../../server/install/uninstall.ts')
          const { gitDirectory, restored, settings, stays } = await uninstallServer(repo, {
            gitPath: gitOfCaller(),
            purge,
          })
          if (json) return printJson({ repository: gitDirectory, restored, settings, stays })
          print(`headgate no longer guards ${gitDirectory}`)
          for (const name of restored) print(`  the ${name} hook that was there before is back`)
          for (const setting of settings) print(`  put back ${setting}`)
          for (const name of stays) print(`  stays: ${name}`)
          if (!purge && stays.some((name) => !name.startsWith('refs/')))
            print(`  headgate server uninstall ${shellWord(repo)} --purge removes keys and reflogs`)
        },
      )
      .demandCommand(
        1,
        'say what to do: headgate server install REPO.git, or headgate server uninstall REPO.git',
      ),
  )
}

export function printPolicy(applied: {
  version: number
  changed: boolean
  baseline: string | null
  release: string
  staging: string
  enforcement: string
  from: string
  remarks: readonly string[]
}): void {
  const { version, changed, release, staging, enforcement, remarks } = applied
  print(
    changed
      ? `policy version ${version} is in force now, from ${applied.from}: ${release} follows ${staging}, ${enforcement}`
      : `policy version ${version} is in force already; nothing changed`,
  )
  if (applied.baseline !== null)
    print(`  ${release} at ${applied.baseline.slice(0, 7)} is recorded as the baseline`)
  if (enforcement === 'evaluate')
    print('  enforcement: evaluate judges and records every push and refuses none')
  for (const remark of remarks) note(`remark: ${remark}`)
}
