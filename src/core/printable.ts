/**
 * Text from outside (ref names, subjects, push options, reasons) made safe to print: control characters, line
 * breaks, terminal escapes, invisible and direction-changing characters become visible escapes, and the length is
 * bounded. The result is one line.
 */
export function printable(text: string, maxLength = 200): string {
  const visible = text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
  return visible.length <= maxLength ? visible : `${visible.slice(0, maxLength - 3)}...`
}

// C0, DEL and C1 controls; every format (Cf), line and paragraph separator, private use; lone surrogates.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu

/** The text as one word of a POSIX shell command that people can paste. */
export function shellWord(text: string): string {
  const safe = printable(text, 1024)
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`
}

/** A value of a file for people: as JSON, on one safe line. */
export function showValue(value: unknown): string {
  return printable(JSON.stringify(value) ?? 'nothing', 80)
}
