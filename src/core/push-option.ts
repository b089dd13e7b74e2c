/** What a push says beside its refs: `git push -o NAME=TEXT`. The note and the plan of a promotion arrive like that. */

import { UNSAFE } from './printable.ts'

/** Of several options of the name, the first one that says something; null where none does. */
export function pushOption(pushOptions: readonly string[], name: string): string | null {
  const texts = pushOptions.filter((option) => option.startsWith(`${name}=`))
  return texts.map((option) => option.slice(name.length + 1)).find(saysSomething) ?? null
}

/** Blanks, line ends and characters that show nothing say nothing. */
export function saysSomething(text: string): boolean {
  return text.replace(UNSAFE, '').trim() !== ''
}
