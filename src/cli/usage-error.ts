/** What is wrong with a command line, in headgate's words. yargs knows which commands and options there are. */
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'

export type Grammar = {
  /** The commands and options that may follow these words, as a shell's completion would offer them. */
  readonly complete: Complete
  /** The help of the command that these words name. */
  readonly help: (command: readonly string[]) => Promise<string>
}

type Complete = (words: readonly string[]) => Promise<readonly string[]>

/** `complaint` is yargs' own message. */
export async function usageError(
  complaint: string,
  args: readonly string[],
  { complete, help }: Grammar,
): Promise<HeadgateError> {
  const { command, commands, rest } = await splitCommand(args, complete)
  const name = ['headgate', ...command].join(' ')
  const wrong = (message: string) =>
    new HeadgateError('usage', message, {
      hint: `${name} --help lists its ${commands.length > 0 ? 'commands' : 'options'}`,
    })

  // An option that does not exist is named before one that is missing: often they are the same, misspelt.
  const options = [...(await complete([...command, '--'])), '-h']
  const unknown = optionNames(rest).find(
    (option) => !options.includes(option) && !options.includes(option.replace(/^--no-/, '--')),
  )
  const choice = /Argument: (.+), Given: (.+), Choices: (.+)$/m.exec(complaint)
  if (choice !== null && unknown === undefined) {
    const [, argument = '', given, choices] = choice
    const name = options.includes(`--${argument}`) ? `--${argument}` : argument.toUpperCase()
    return wrong(`${name} ${printable(String(given), 60)} is not one of ${choices?.replaceAll('"', '')}`)
  }
  const [word] = rest.filter((arg) => !arg.startsWith('-'))
  if (commands.length > 0 && word !== undefined)
    return wrong(`there is no command "${name} ${printable(word, 60)}"${suggestion(word, commands)}`)
  if (unknown !== undefined)
    return wrong(`${name} has no option ${printable(unknown, 60)}${suggestion(unknown, options)}`)

  const missing = /^Missing required arguments?: (.+)$/.exec(complaint)?.[1]
  if (missing !== undefined) {
    const list = missing.split(', ').map((option) => `--${option}`)
    return wrong(`${name} needs ${list.join(' and ')}`)
  }
  const extra = /^Unknown arguments?: ([^,]+)/.exec(complaint)?.[1]
  if (extra !== undefined) return wrong(`"${printable(extra, 60)}" is one word too many for ${name}`)
  if (complaint.startsWith('Not enough non-option arguments')) {
    const [usage = ''] = (await help(command)).split('\n')
    const words = [...usage.matchAll(/<([^>]+)>/g)].map(([, word]) => word?.toUpperCase())
    return wrong(`${name} needs ${words.join(' and ')}`)
  }
  return wrong(complaint)
}

/** The words that name a command, the subcommands that could follow them, and everything else. */
async function splitCommand(args: readonly string[], complete: Complete) {
  const command: string[] = []
  for (;;) {
    const commands = (await complete([...command, ''])).filter((name) => !name.startsWith('-'))
    const next = args[command.length]
    if (next === undefined || !commands.includes(next))
      return { command, commands, rest: args.slice(command.length) }
    command.push(next)
  }
}

function optionNames(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  return (end === -1 ? args : args.slice(0, end))
    .filter((arg) => /^--?[a-z]/i.test(arg))
    .map((arg) => arg.replace(/=.*$/s, ''))
}

function suggestion(word: string, known: readonly string[]): string {
  if (word.length < 3) return ''
  const [best] = known
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .filter(({ name, distance }) => distance <= Math.max(1, Math.floor(name.replace(/^--/, '').length / 3)))
    .sort((a, b) => a.distance - b.distance)
  return best === undefined ? '' : `; did you mean ${best.name}?`
}

/** Letters to insert, delete, replace or swap with their neighbour. */
function editDistance(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0
  for (let row = 1; row <= from.length; row++) {
    rows.push([row])
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1]
      const swapped =
        row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      rows[row]?.push(
        Math.min(
          at(row - 1, column) + 1,
          at(row, column - 1) + 1,
          at(row - 1, column - 1) + (same ? 0 : 1),
          swapped ? at(row - 2, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
  }
  return at(from.length, to.length)
}
