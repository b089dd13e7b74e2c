/**
 * Free text within one line of Markdown: it reads as it was written, makes no markup, and decodes to exactly what it was.
 * What Markdown would take for markup gets a backslash; what would end the line, or cannot be seen, is a character
 * reference, `&#xa;`.
 */
import { UNSAFE } from './printable.ts'

/** An underscore within a word is no markup, and URLs have many. */
const MARKUP = /[\\`*[\]<>~$]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])|&(?=#|[A-Za-z][A-Za-z0-9]*;)/gu

/** `also`: characters that must not stand as they are, since they separate. */
export function encodeLogText(text: string, also = ''): string {
  return text
    .replace(MARKUP, '\\$&')
    .replace(UNSAFE, reference)
    .replace(/^ | $|\ufffd/g, reference)
    .replace(/[,:]/g, (separator) => (also.includes(separator) ? reference(separator) : separator))
}

export function decodeLogText(text: string): string {
  return text.replace(/\\([!-/:-@[-`{-~])|&#x([0-9a-f]{1,6});/g, (whole, literal, digits) => {
    if (literal !== undefined) return literal
    const code = Number.parseInt(digits, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

function reference(character: string): string {
  return `&#x${(character.codePointAt(0) ?? 0).toString(16)};`
}
