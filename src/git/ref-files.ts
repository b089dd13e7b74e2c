/**
 * Refs as git's files backend keeps them (gitrepository-layout(5)): a loose file `<common dir>/<full name>` that holds
 * `<oid> LF` or `ref: <full name> LF`, and behind it `packed-refs` with lines `<oid> SP <full name> LF`. Reading them
 * takes 0.1 ms where a process takes 3, and there is no guessing of names on the way. Whatever is not as plain as that
 * is left to git itself.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isOid, type Oid } from '../core/oid.ts'

export type Ref = {
  /** What the ref is at; null for a symbolic ref whose target does not exist yet. */
  readonly oid: Oid | null
  /** For a symbolic ref the full name of the ref at the end of the chain, else null. */
  readonly target: string | null
}

/** `ask-git`: the files alone do not tell. null: there is no such ref. */
export type RefFileAnswer = Ref | null | 'ask-git'

/** git's own limit on chains of symbolic refs. */
const MAX_DEPTH = 5
const MAX_LOOSE_BYTES = 4096
/** Some 15,000 refs. git searches a larger file faster than it can be read here. */
const MAX_PACKED_BYTES = 1024 * 1024

/**
 * Whether git could have a ref of this full name (git-check-ref-format(1)). Names from the wire are bytes that nobody has
 * looked at; the rules also keep out `..`, and every character that git reads as a pattern.
 */
export function isRefName(name: string): boolean {
  if (!name.startsWith('refs/') || name.length > 1024 || !name.isWellFormed()) return false
  if (/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\.$/.test(name)) return false
  return name.split('/').every((part) => part !== '' && !part.startsWith('.') && !part.endsWith('.lock'))
}

/** Reads one ref of full name. The name must be one that `isRefName` accepts. */
export function readRefFile(commonDir: string, name: string): RefFileAnswer {
  let at = name
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const target = depth === 0 ? null : at
    const text = readLoose(join(commonDir, at))
    if (text === 'ask-git') return 'ask-git'
    if (text === null) {
      // Loose before packed: git packs a ref before it removes the loose file, so that it is always in one of them.
      const oid = readPacked(join(commonDir, 'packed-refs'), at)
      if (oid === 'ask-git') return 'ask-git'
      return oid === null && target === null ? null : { oid, target }
    }
    const symbolic = /^ref: *(\S+)\n$/.exec(text)
    if (symbolic === null) {
      const oid = text.endsWith('\n') ? text.slice(0, -1) : text
      return isOid(oid) ? { oid, target } : 'ask-git'
    }
    at = symbolic[1]!
    if (!isRefName(at)) return 'ask-git'
  }
  return 'ask-git'
}

function readLoose(path: string): string | null | 'ask-git' {
  // Not through a symbolic link: very old gits made symbolic refs of them.
  return readSmall(path, MAX_LOOSE_BYTES)?.toString('latin1') ?? (exists ? 'ask-git' : null)
}
