#!/usr/bin/env node
/** The command line: which commands there are, what they are called with, and which exit code an error becomes. */
import './working-folder.ts'
import yargs, { type Argv } from 'yargs'
import { hideBin } from 'yargs/helpers'
import { nodeComplaint } from '../../server/node-version.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { VERSION } from '../core/version.ts'
import { debugTo } from '../git/debug.ts'
import { checkCommand } from './commands/check.ts'
import { completionCommand } from './commands/completion.ts'
import { demoCommand } from './commands/demo.ts'
import { deployCheckCommand } from './commands/deploy-check.ts'
import { doctorCommand } from './commands/doctor.ts'
import { evidenceCommand } from './commands/evidence.ts'
import { gateCommand } from './commands/gate.ts'
import { hookCommand } from './commands/hook.ts'
import { initCommand } from './commands/init.ts'
import { keyCommand } from './commands/key.ts'
import { logCommand } from './commands/log.ts'
import { operatorCommands } from './commands/operator.ts'
import { policyCommand } from './commands/policy.ts'
import { promoteCommand } from './commands/promote.ts'
import { relayCommand } from './commands/relay.ts'
import { rollbackCommand } from './commands/rollback.ts'
import { serveCommand } from './commands/serve.ts'
import { serverCommand } from './commands/server.ts'
import { statusCommand } from './commands/status.ts'
import { verifyCommand } from './commands/verify.ts'
import { note, printError } from './output.ts'
import { COMPLAINTS, type Grammar, usageError } from './usage-error.ts'

/** Every command module adds itself; what a handler needs it imports when it runs, so that startup stays short. */
export type CommandModule = (cli: Argv) => Argv

const COMMANDS: readonly CommandModule[] = [
  demoCommand,
  initCommand,
  serverCommand,
  serveCommand,
  relayCommand,
  policyCommand,
  keyCommand,
  gateCommand,
  evidenceCommand,
  statusCommand,
  promoteCommand,
  rollbackCommand,
  operatorCommands,
  logCommand,
  deployCheckCommand,
  checkCommand,
  doctorCommand,
  hookCommand,
  verifyCommand,
  completionCommand,
]

/** What yargs has against a command line; `usageError` says it better. */
class UsageComplaint extends Error {}

function commandLine(): Argv {
  const cli = yargs()
    .scriptName('headgate')
    // The types know sentences without a plural only.
    .updateStrings(COMPLAINTS as unknown as Record<string, string>)
    .usage(
      '$0 COMMAND\n\nA promotion guard for git: release moves only to a commit of main that staging has proved.',
    )
    .version(VERSION)
    .alias('help', 'h')
    .strict()
    .option('debug', {
      type: 'boolean',
      default: false,
      describe: 'tell what git is asked, and why a decision comes out so [$HEADGATE_DEBUG=1]',
    })
    .middleware(({ debug }) => {
      if (debug) startDebugging()
    }, true)
    .demandCommand(1, 'name a command')
    .parserConfiguration({ 'dot-notation': false })
    .wrap(Math.min(100, process.stdout.columns ?? 80))
    .epilogue(
      'Exit codes: 0 yes, 77 refused or findings, 65 bad data, 64 usage, 78 configuration, 69 try again, 70 a bug',
    )
    .check((values, options) => requireSingleValues(values, options as unknown as { array: string[] }))
    // yargs would exit by itself, and print the whole help where one line says what is wrong.
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UsageComplaint(message)
    })
  for (const add of COMMANDS) add(cli)
  return cli
}

function startDebugging(): void {
  debugTo(note)
}

/** yargs takes `--key` without a value for an empty text, and `--key a --key b` for a list. */
function requireSingleValues(values: Record<string, unknown>, options: { array: string[] }): true {
  for (const [name, value] of Object.entries(values)) {
    if (name === '_' || name === '--' || options.array.includes(name)) continue
    const isOption = hideBin(process.argv).some((arg) => arg.split('=')[0] === `--${name}`)
    const shown = isOption ? `--${name}` : name.toUpperCase()
    if (value === '')
      throw new HeadgateError('usage', `${shown} needs a value`, {
        hint: 'give it one, or leave it out where it may be left out',
      })
    if (Array.isArray(value))
      throw new HeadgateError('usage', `${shown} is given twice`, { hint: 'give it once' })
  }
  return true
}

async function main(args: string[]): Promise<void> {
  const complaint = nodeComplaint(process.execPath, process.version)
  if (complaint !== null)
    throw new HeadgateError('configuration', complaint, {
      hint: 'install a newer Node, and put it first in PATH',
    })
  if (process.env.HEADGATE_DEBUG === '1') startDebugging()
  if (args.length === 0) {
    note(await commandLine().getHelp())
    process.exitCode = EXIT_CODES.usage
    return
  }
  try {
    await commandLine().parseAsync(args)
  } catch (error) {
    throw error instanceof UsageComplaint ? await usageError(error.message, args, GRAMMAR) : error
  }
}

const GRAMMAR: Grammar = {
  // Completions are made for shells; each shell's format begins with the name.
  complete: async (words) =>
    (await outputOf(['--get-yargs-completions', 'headgate', ...words]))
      .split('\n')
      .map((line) => line.replace(/[:\t].*$/, ''))
      .filter((name) => name !== ''),
  help: (command) => outputOf([...command, '--help']),
}

async function outputOf(args: readonly string[]): Promise<string> {
  let text = ''
  await commandLine().parse(args, {}, (_, __, output) => {
    if (output !== '') text += `${output}\n`
  })
  return text
}

/** The one place where an outcome becomes an exit code. */
function fail(error: unknown): void {
  if (error instanceof HeadgateError) {
    printError(error)
    process.exitCode = EXIT_CODES[error.code]
  } else if (typeof (error as NodeJS.ErrnoException)?.syscall === 'string') {
    fail(systemFailure(error as NodeJS.ErrnoException))
  } else {
    note(`headgate: a bug, please report it:\n${String((error as Error)?.stack ?? error)}`)
    process.exitCode = EXIT_CODES.bug
  }
}

/** A full disk, a folder that vanished, a limit or a refusal of the system: nobody's verdict and no bug. */
function systemFailure(error: NodeJS.ErrnoException): HeadgateError {
  const path = error.path === undefined ? '' : printable(error.path, 400)
  if (path !== '' && ['EACCES', 'EPERM', 'EROFS'].includes(error.code ?? '')) {
    return new HeadgateError(
      'configuration',
      `${path}: this account may not do that (${error.message.split(',')[0]})`,
      {
        hint: 'run it as the account that owns it, or give this one the right to',
        cause: error,
      },
    )
  }
  const isFull = ['ENOSPC', 'EDQUOT'].includes(error.code ?? '')
  return new HeadgateError('unavailable', printable(error.message, 500), {
    hint: isFull
      ? 'make room where this clone and the temporary files are (df -h), then try again'
      : 'look at the disk and the folder that it names, then try again',
    cause: error,
  })
}

// The reader may stop reading (`| head`): that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') fail(error)
})
main(hideBin(process.argv)).catch(fail)
