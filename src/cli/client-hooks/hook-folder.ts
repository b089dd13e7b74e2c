/** Our hooks in a folder of git hooks, beside and before what was there. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { type ClientHook, hookScript, readHook } from './hook-script.ts'

const KEPT_SUFFIX = '.kept-by-headgate'

/**
 * Puts a hook at `path`. What is there is kept beside it and runs after ours. Safe to run again: a hook of ours is
 * replaced, a kept one stays kept. Returns whether anything changed.
 */
export function putHook(path: string, name: ClientHook): boolean {
  const keptPath = `${path}${KEPT_SUFFIX}`
  const there = readHook(path)
  if (there === null && lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
    throw new HeadgateError('configuration', `${path} is a folder, and git wants a hook there`)
  mkdirSync(dirname(path), { recursive: true })
  if (there !== null && !there.ours) {
    if (existsSync(keptPath)) {
      throw new HeadgateError('configuration', `${path} is not headgate's, and ${keptPath} exists already`, {
        hint: 'make one hook of the two, remove the other, and run headgate init again',
      })
    }
    renameSync(path, keptPath)
    // A hook that runs the scripts of `NAME.d` finds them by its own name, which is another one now.
    if (existsSync(`${path}.d`) && !existsSync(`${keptPath}.d`))
      symlinkSync(`${basename(path)}.d`, `${keptPath}.d`)
  }
  const kept = there?.ours && there.kept !== '' ? there.kept : existsSync(keptPath) ? basename(keptPath) : ''
  return writeScript(path, hookScript(name, kept))
}

/** Writes an executable file, whole; false if it is there already. */
export function writeScript(path: string, text: string): boolean {
  const status = statSync(path, { throwIfNoEntry: false })
  if (status !== undefined && (status.mode & 0o111) !== 0 && readFileSync(path, 'utf8') === text) return false
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.headgate-new`, text, { mode: 0o755 })
  renameSync(`${path}.headgate-new`, path)
  return true
}

/** Takes our hook out of `path`, and puts back what was kept. Returns whether anything changed. */
export function takeHook(path: string): boolean {
  const there = readHook(path)
  if (there === null || !there.ours) return false
  rmSync(path)
  const keptPath = `${dirname(path)}/${there.kept}`
  if (there.kept !== '' && existsSync(keptPath)) {
    if (lstatSync(`${keptPath}.d`, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(`${keptPath}.d`)
    renameSync(keptPath, path)
  }
  return true
}
