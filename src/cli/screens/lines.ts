/** What a command says: results, which were asked for, and notes, which are progress and remarks. */
import { note, print } from '../output.ts'

export type Line = { readonly kind: 'result' | 'note'; readonly text: string }

export function results(...texts: readonly string[]): Line[] {
  return texts.map((text) => ({ kind: 'result', text }))
}

export function notes(...texts: readonly string[]): Line[] {
  return texts.map((text) => ({ kind: 'note', text }))
}

/** Where standard output is one JSON value at the end, results are notes as well. */
export function show(lines: readonly Line[], { json }: { readonly json: boolean }): void {
  for (const { kind, text } of lines) (kind === 'note' || json ? note : print)(text)
}
