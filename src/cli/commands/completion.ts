import { basename } from 'node:path'
import yargs, { type Argv } from 'yargs'
import { examples } from '../examples.ts'
import { printExactly } from '../output.ts'
import { thisCaller } from '../this-caller.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** fish asks for the words that fit the line so far; yargs itself has no script for it. */
const FISH = `complete -c headgate -f -a '(headgate --get-yargs-completions (commandline -opc) (commandline -ct))'`

export function completionCommand(cli: Argv): Argv {
  return cli.command(
    'completion [shell]',
    'Print a completion script for bash, zsh or fish',
    (command) =>
      command
        .positional('shell', { choices: SHELLS, describe: 'for which shell [default: that of $SHELL]' })
        .epilogue(
          examples(
            ['bash', '$0 completion bash >> ~/.bashrc'],
            ['zsh, after compinit', '$0 completion zsh >> ~/.zshrc'],
            ['fish', '$0 completion fish > ~/.config/fish/completions/headgate.fish'],
          ),
        ),
    async ({ shell }) => {
      const { ZSH_NAME: _, ...environment } = thisCaller().environment
      if ((shell ?? basename(environment.SHELL ?? '')) === 'fish') {
        printExactly(FISH)
        return
      }
      // yargs takes the shell from the environment that the process began with, and from nothing else.
      if (shell !== undefined) {
        const { spawnSync } = await import('node:child_process')
        const { thisProgram } = await import('../../app/this-program.ts')
        const { node, app } = thisProgram()
        spawnSync(node, [app, 'completion'], { env: { ...environment, SHELL: shell }, stdio: 'inherit' })
        return
      }
      yargs().scriptName('headgate').showCompletionScript()
    },
  )
}
