#!/usr/bin/env node
/** The command line: which commands there are, what they are called with, and which exit code an error becomes. */
import yargs, { type Argv } from 'yargs'
import { hideBin } from 'yargs/helpers'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { demoCommand } from './commands/demo.ts'
import { evidenceCommand } from './commands/evidence.ts'
import { gateCommand } from './commands/gate.ts'
import { keyCommand } from './commands/key.ts'
import { operatorCommands } from './commands/operator.ts'
import { policyCommand } from './commands/policy.ts'
import { serverCommand } from './commands/server.ts'
import { printError } from './output.ts'
import { VERSION } from './version.ts'

/** Every command module adds itself; what a handler needs it imports when it runs, so that startup stays short. */
export type CommandModule = (cli: Argv) => Argv

const COMMANDS: readonly CommandModule[] = [
  demoCommand,
  serverCommand,
  policyCommand,
  keyCommand,
  gateCommand,
  evidenceCommand,
  operatorCommands,
]

async function main(args: string[]): Promise<void> {
  const cli = yargs(args)
    .scriptName('headgate')
    .usage(
      '$0 COMMAND\n\nA promotion guard for git: release moves only to a commit of main that staging has proved.',
    )
    .version(VERSION)
    .alias('help', 'h')
    .strict()
    .demandCommand(1, 'Name a command.')
    .recommendCommands()
    .completion('completion', 'Print a shell completion script')
    .wrap(Math.min(100, process.stdout.columns ?? 100))
    .epilogue(
      'Exit codes: 0 yes, 77 refused or findings, 65 bad data, 64 usage, 78 configuration, 69 try again, 70 a bug',
    )
    // yargs would exit by itself, and print the whole help where one line says what is wrong.
    .exitProcess(false)
    .fail((message, error) => {
      throw (
        error ??
        new HeadgateError('usage', message, {
          hint: 'headgate --help lists commands; headgate COMMAND --help their options',
        })
      )
    })
  for (const add of COMMANDS) add(cli)
  await cli.parseAsync()
}

/** The one place where an outcome becomes an exit code. */
main(hideBin(process.argv)).catch((error: unknown) => {
  if (error instanceof HeadgateError) {
    printError(error)
    process.exitCode = EXIT_CODES[error.code]
    return
  }
  process.stderr.write(`headgate: a bug, please report it:\n${String((error as Error)?.stack ?? error)}\n`)
  process.exitCode = EXIT_CODES.bug
})
