/**
 * Text from outside (ref names, subjects, push options, reasons) made safe to print: control characters, line
 * breaks, terminal escapes, invisible and direction-changing characters become visible escapes, and the length is
 * bounded. The result is one line.
 */
export function printable(text: string, maxLength = 200): string {
  // A text of megabytes costs no more than what is shown of it.
  const visible = escapeUnsafe(text.slice(0, maxLength + 1))
  if (visible.length <= maxLength) return visible
  // Never half of a character that takes two units.
  return `${visible.slice(0, maxLength - 3).replace(/[\ud800-\udbff]$/, '')}...`
}

/** Makes every character of the text visible that could hide, move or change others. The result is one line. */
export function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}

/** Every character that {@link escapeUnsafe} makes visible. */
// Controls, formats, unassigned and private characters, lone surrogates (C); what shows nothing by default (DI: fillers,
// joiners, variation selectors); every blank but the space (Z); the blank pattern of Braille.
export const UNSAFE = /[\p{C}\p{DI}\u2800]|(?! )\p{Z}/gu

/**
 * Every JSON that is printed or handed on is written here. The same characters as in text for people, as JSON's own
 * escapes: a parser gets the value as it is, and a reader at a terminal gets nothing moved or hidden.
 */
export function jsonText(value: unknown, space?: number): string {
  return escapeJson(JSON.stringify(value, null, space))
}

/** The same for a text that is JSON already. */
export function escapeJson(json: string): string {
  // The line breaks between its parts are no part of any text: those in a text are escaped by the rules of JSON.
  return json.replace(UNSAFE, (character) =>
    character === '\n'
      ? character
      : character
          .split('')
          .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
          .join(''),
  )
}

/** Lines as they are, but for what could hide, move or change others on a terminal. */
export function visibleLines(text: string): string {
  return text.replace(UNSAFE, (character) => (/[\n\t]/.test(character) ? character : escapeUnsafe(character)))
}

/** The text as one word of a POSIX shell command that people can paste. */
export function shellWord(text: string): string {
  const safe = printable(text, 1024)
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`
}

/** A value of a file for people: as JSON, on one safe line. */
export function showValue(value: unknown): string {
  return printable(JSON.stringify(value) ?? 'nothing', 80)
}
