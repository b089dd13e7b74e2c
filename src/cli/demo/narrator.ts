/**
 * What the demo says on the terminal, apart from what the programs say:
 *
 *     3  Title of a step
 *        What to look at, in a line.
 *
 *     alice$ git push origin 3f2c1ab:release
 *      remote: headgate: push refused
 *     ok: what was checked
 *
 * Output of programs is indented by one blank only: headgate writes for 80 columns with git's `remote: ` before it.
 */
import { printable, shellWord } from '../../core/printable.ts'
import { colour, print } from '../output.ts'

const WIDTH = 80

export class Narrator {
  #step = 0

  step(title: string, look: string): void {
    this.#step++
    print('')
    print(colour('bold', `${String(this.#step).padStart(2)}  ${title}`))
    this.#text(look)
  }

  /** A second look within a step. */
  look(text: string): void {
    print('')
    this.#text(text)
  }

  #text(text: string): void {
    for (const line of text.split('\n')) print(`    ${line}`)
  }

  /** Something that happens without a command. */
  aside(text: string): void {
    for (const line of fold(`(${text})`)) print(colour('dim', line))
  }

  command(actor: string, words: readonly string[]): void {
    const [first = '', ...rest] = commandLines(words, WIDTH - actor.length - 4)
    print(`${colour('dim', `${actor}$`)} ${colour('bold', first)}`)
    for (const line of rest) print(`    ${colour('bold', line)}`)
  }

  output(text: string): void {
    const lines = text.replace(/\n$/, '').split('\n')
    if (text === '') return
    // git ends remote lines with blanks, to cover what a terminal may show there.
    for (const line of lines.map((raw) => ` ${printable(raw, 2000).trimEnd()}`)) {
      for (const part of line.startsWith(' remote:') ? [line] : fold(line)) print(part)
    }
  }

  asTold(text: string): void {
    const [first = '', ...rest] = fold(`ok: ${text}`)
    print(`${colour('green', 'ok:')}${first.slice('ok:'.length)}`)
    for (const line of rest) print(line)
  }

  notAsTold(text: string): void {
    print('')
    print(colour('red', 'NOT AS TOLD'))
    for (const line of text.split('\n')) print(`  ${printable(line, 2000)}`)
  }
}

/** The command for people: one line if it fits, else broken before options, as a shell reads it. */
function commandLines(words: readonly string[], width: number): string[] {
  const parts: string[] = []
  for (const word of words.map(quoted)) {
    const isValue = /^--[a-z-]+$/.test(parts.at(-1) ?? '') && !word.startsWith('--')
    if (isValue) parts.push(`${parts.pop()} ${word}`)
    else parts.push(word)
  }
  const lines: string[] = []
  let line = ''
  for (const part of parts) {
    if (line !== '' && line.length + part.length + 3 > width) {
      lines.push(`${line} \\`)
      line = part
    } else {
      line += line === '' ? part : ` ${part}`
    }
  }
  return [...lines, line]
}

/** Options with a value read better as `--format='%h %s'` than quoted as a whole. */
function quoted(word: string): string {
  const [, option, value] = /^(--[a-z-]+=)(.*)$/s.exec(word) ?? []
  return option === undefined || value === undefined ? shellWord(word) : option + shellWord(value)
}

/** Breaks a line that is too long at its blanks; what follows is indented a little more. */
function fold(line: string): string[] {
  const indent = /^ */.exec(line)?.[0] ?? ''
  const lines: string[] = []
  let current = ''
  for (const word of line.slice(indent.length).split(/(?<=\S) (?=\S)/)) {
    const start = lines.length === 0 ? indent : `${indent}${indent.length < 4 ? '  ' : ''}`
    if (current === '') current = start + word
    else if (current.length + 1 + word.length <= WIDTH) current += ` ${word}`
    else {
      lines.push(current)
      current = `${indent}${indent.length < 4 ? '  ' : ''}${word}`
    }
  }
  return [...lines, current]
}
