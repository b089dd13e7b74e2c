/** What is wrong with a command line, in headgate's words. yargs knows which commands and options there are, and finds it. */
import { editDistance } from '../core/edit-distance.ts'
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'

export type Grammar = {
  /** The commands and options that may follow these words, as a shell's completion would offer them. */
  readonly complete: Complete
  /** The help of the command that these words name. */
  readonly help: (command: readonly string[]) => Promise<string>
}

type Complete = (words: readonly string[]) => Promise<readonly string[]>

/**
 * yargs tells what is wrong in a sentence and in nothing else, but lets its sentences be replaced (`updateStrings`): by a
 * kind and what it is about, parted by NUL, which no word of a command line has. A sentence that a later yargs words
 * otherwise is printed as it is.
 */
export const COMPLAINTS = {
  'Invalid values:': 'choice\0',
  'Argument: %s, Given: %s, Choices: %s': '%s\0%s\0%s',
  'Missing required argument: %s': { one: 'missing\0%s', other: 'missing\0%s' },
  'Unknown argument: %s': { one: 'unknown\0%s', other: 'unknown\0%s' },
  'Not enough non-option arguments: got %s, need at least %s': {
    one: 'positionals\0%s\0%s',
    other: 'positionals\0%s\0%s',
  },
  'Implications failed:': 'implied\0',
  'Arguments %s and %s are mutually exclusive': 'exclusive\0%s\0%s',
} as const

/** `complaint` is yargs' message, of COMPLAINTS where it is yargs' own, or what a command says of itself. */
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
  const [kind, first = '', second = '', third = ''] = complaint.split('\0').map((part) => part.trim())
  if (kind === 'choice' && unknown === undefined) {
    const argument = options.includes(`--${first}`) ? `--${first}` : first.toUpperCase()
    const [choices = ''] = third.split('\n')
    return wrong(`${argument} ${printable(second, 60)} is not one of ${choices.replaceAll('"', '')}`)
  }
  const [word] = rest.filter((arg) => !arg.startsWith('-'))
  if (commands.length > 0 && word !== undefined)
    return wrong(`there is no command "${name} ${printable(word, 60)}"${suggestion(word, commands)}`)
  if (unknown !== undefined)
    return wrong(`${name} has no option ${printable(unknown, 60)}${suggestion(unknown, options)}`)

  switch (kind) {
    case 'missing':
      return wrong(`${name} needs ${optionList(first.split(', '))}`)
    case 'unknown':
      return wrong(`"${printable(first.replace(/, .*$/s, ''), 60)}" is one word too many for ${name}`)
    case 'positionals': {
      const [usage = ''] = (await help(command)).split('\n')
      const words = [...usage.matchAll(/<([^>]+)>/g)].map(([, word]) => word?.toUpperCase())
      return wrong(`${name} needs ${words.join(' and ')}`)
    }
    case 'implied': {
      const [option = '', needed = ''] = first.split(' -> ')
      return wrong(`--${option} needs --${needed}`)
    }
    case 'exclusive':
      return wrong(`${optionList([first, second])} exclude each other`)
    default:
      return wrong(printable(complaint, 300))
  }
}

function optionList(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(' and ')
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
