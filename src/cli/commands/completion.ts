import yargs, { type Argv } from 'yargs'
import { examples } from '../examples.ts'

const SHELLS = ['bash', 'zsh'] as const

export function completionCommand(cli: Argv): Argv {
  return cli.command(
    'completion [shell]',
    'Print a completion script for bash or zsh',
    (command) =>
      command
        .positional('shell', { choices: SHELLS, describe: 'for which shell [default: that of $SHELL]' })
        .epilogue(
          examples(
            ['bash', '$0 completion bash >> ~/.bashrc'],
            ['zsh, after compinit', '$0 completion zsh >> ~/.zshrc'],
          ),
        ),
    ({ shell }) => {
      // yargs looks at these when it starts, and at nothing else.
      if (shell !== undefined) {
        process.env.SHELL = shell
        delete process.env.ZSH_NAME
      }
      yargs().scriptName('headgate').showCompletionScript()
    },
  )
}
