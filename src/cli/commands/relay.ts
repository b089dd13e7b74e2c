import type { Argv } from 'yargs'
import { examples } from '../examples.ts'
import { jsonOption } from '../options.ts'

const FORGES = ['github', 'gitlab', 'gitea', 'gitolite', 'other'] as const

export function relayCommand(cli: Argv): Argv {
  return cli.command(
    'relay [relays..]',
    'Move the release branch of a host that runs no hooks, as operators ask for it (server admin)',
    (command) =>
      command
        .command(
          'init <url> <folder>',
          "Make a relay's keys and folder, begin the ledger on the host, and say what to set there",
          (init) =>
            init
              .positional('url', {
                type: 'string',
                demandOption: true,
                describe: 'the repository on its host, as git takes it',
              })
              .positional('folder', {
                type: 'string',
                demandOption: true,
                describe: 'where keys, settings and cache of this relay are kept',
              })
              .option('policy', {
                type: 'string',
                describe: 'a folder with the policy [default: .headgate at the tip of main]',
              })
              .option('ledger', {
                choices: ['branch', 'ref'] as const,
                default: 'branch' as const,
                describe:
                  'where the ledger stands: headgate/ledger, which rules can protect, or refs/headgate/ledger',
              })
              .option('forge', {
                choices: FORGES,
                describe: 'whose settings are told [default: by the URL]',
              })
              .options(jsonOption)
              .epilogue(
                examples(
                  ['a repository on GitHub', '$0 relay init git@github.com:acme/app.git ~/relay-app'],
                  [
                    'the ledger as a ref, where the host can protect it',
                    '$0 relay init git@git.example.com:app ~/relay-app \\',
                    '    --ledger ref --forge gitolite',
                  ],
                ),
              ),
          async ({ url, folder, policy, ledger, forge, json }) => {
            const { resolve } = await import('node:path')
            const { beginRelay } = await import('../../app/relay/begin-relay.ts')
            const { thisCaller } = await import('../this-caller.ts')
            const { showBegun } = await import('../screens/relay.ts')
            const begun = await beginRelay(thisCaller(), {
              url,
              folder: resolve(folder),
              policy,
              ledger,
            })
            showBegun(begun, { forge, json })
          },
        )
        .command(
          'apply <folder>',
          'Put a policy in force on the host',
          (apply) =>
            apply
              .positional('folder', { type: 'string', demandOption: true, describe: 'the folder of a relay' })
              .option('policy', {
                type: 'string',
                describe: 'a folder with the policy [default: .headgate at the tip of main]',
              })
              .options(jsonOption)
              .epilogue(examples(['what main says', '$0 relay apply ~/relay-app'])),
          async ({ folder, policy, json }) => {
            const { resolve } = await import('node:path')
            const { applyRelayPolicy } = await import('../../app/relay/begin-relay.ts')
            const { thisCaller } = await import('../this-caller.ts')
            const { showApplied } = await import('../screens/relay.ts')
            const applied = await applyRelayPolicy(thisCaller(), {
              folder: resolve(folder),
              policy,
              asCaller: false,
            })
            showApplied(applied, json)
          },
        )
        .positional('relays', { type: 'string', array: true, describe: 'folders that relay init has made' })
        .option('once', { type: 'boolean', default: false, describe: 'answer all that waits, and end' })
        .option('every', {
          type: 'string',
          default: '10s',
          describe: 'how often each host is asked; SIGUSR1 asks at once',
        })
        .options(jsonOption)
        .epilogue(
          [
            'Exit codes of --once: 0 all was answered, 69 a host could not be served.',
            examples(
              ["a job of the host's CI", '$0 relay --once ~/relay-app'],
              ['a service for two repositories', '$0 relay --every 10s ~/relay-app ~/relay-shop'],
            ),
          ].join('\n\n'),
        ),
    async ({ relays = [], once, every, json }) => {
      const { resolve } = await import('node:path')
      const { HeadgateError } = await import('../../core/errors.ts')
      if (relays.length === 0) {
        throw new HeadgateError('usage', 'no folder of a relay is named', {
          hint: 'headgate relay init URL DIR makes one; then: headgate relay DIR',
        })
      }
      const { requireDuration } = await import('../../app/requirements.ts')
      const { relayHosts } = await import('../screens/relay.ts')
      const folders = relays.map((path) => resolve(path))
      await relayHosts(folders, { once, everyMs: requireDuration('every', every), json })
    },
  )
}
