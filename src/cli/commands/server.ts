import type { Argv } from 'yargs'
import { HOSTS } from '../../../server/hook-places.ts'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'
import { printJson } from '../output.ts'
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
          const { showInstalled } = await import('../screens/server.ts')
          const done = await installAndApply({
            path: repo,
            gitPath: gitOfCaller(),
            named: identity,
            folder: policy,
            host,
            debug: debugHooks,
          })
          if (json) printJson(done)
          else showInstalled(done, repo)
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
          const { showUninstalled } = await import('../screens/server.ts')
          const done = await uninstallServer(repo, { gitPath: gitOfCaller(), purge })
          const { gitDirectory: repository, restored, settings, stays } = done
          if (json) printJson({ repository, restored, settings, stays })
          else showUninstalled(done, { path: repo, purge })
        },
      )
      .demandCommand(
        1,
        'say what to do: headgate server install REPO.git, or headgate server uninstall REPO.git',
      ),
  )
}
