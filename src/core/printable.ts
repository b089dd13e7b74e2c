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

/** The text as one word of a POSIX shell command that people can paste. */
export function shellWord(text: string): string {
  const safe = printable(text, 1024)
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`
}

/** A value of a file for people: as JSON, on one safe line. */
export function showValue(value: unknown): string {
  return printable(JSON.stringify(value) ?? 'nothing', 80)
}
