import type { Argv } from 'yargs'
import type { Caller } from '../../app/caller.ts'
import { EXIT_CODES } from '../../core/errors.ts'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

export function deployCheckCommand(cli: Argv): Argv {
  return cli.command(
    'deploy-check <commit>',
    'Whether a commit may be deployed: exit code 0 only for the landed release (deploy pipeline)',
    (command) =>
      command
        .positional('commit', {
          type: 'string',
          demandOption: true,
          describe: 'what is about to be deployed',
        })
        .option('environment', {
          choices: ['production', 'staging'] as const,
          demandOption: true,
          describe: 'where; for staging any commit of the staging branch will do',
        })
        .option('attestation', {
          type: 'string',
          describe: 'write the SLSA verification summary (DSSE) to this file; --attestation=- prints it',
        })
        .option('seal-key', {
          type: 'string',
          describe:
            "file with the server's seal-key.pub (as verify --trust): the answer rests on sealed records alone",
        })
        .option('served', {
          type: 'boolean',
          default: false,
          describe: 'also ask the environment what it serves (after the deployment)',
        })
        .options(remoteOption)
        .options(jsonOption)
        .epilogue(
          examples(
            ['before the deployment', '$0 deploy-check "$COMMIT" --environment production'],
            [
              'with an attestation that other tools can gate on',
              '$0 deploy-check "$COMMIT" --environment production \\',
              '    --seal-key seal-key.pub --attestation vsa.json',
            ],
            ['after it', '$0 deploy-check "$COMMIT" --environment production --served'],
          ),
        ),
    async (options) => {
      const { deployCheck } = await import('../../app/deploy-check.ts')
      const { showDeployCheck, writeAttestation } = await import('../screens/deploy-check.ts')
      const { attestation: file } = options
      const caller = thisCaller()
      const found = await deployCheck(caller, { ...options, attested: file !== undefined })
      if (found.findings.length > 0) process.exitCode = EXIT_CODES.refused
      if (file !== undefined && found.attestation !== null)
        writeAttestation(found.attestation, file, await topLevel(caller))
      showDeployCheck(found, options)
    },
  )
}

async function topLevel(caller: Caller): Promise<string | null> {
  const { ClientRepository } = await import('../../app/clone/client-repository.ts')
  return new ClientRepository(caller).topLevel()
}
