/** Our hooks in a folder of git hooks, beside and before what was there. */
import { existsSync, lstatSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { HeadgateError } from '../../core/errors.ts'
import { makeFolder, replaceFile } from '../../git/own-files.ts'
import { treeFolder } from '../../git/tree-file.ts'
import { type ClientHook, hookScript, isThere, readHook } from './hook-script.ts'

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
  if (there !== null && !there.ours) keep(path, keptPath)
  const kept = there?.ours && there.kept !== '' ? there.kept : isThere(keptPath) ? basename(keptPath) : ''
  return writeScript(dirname(path), basename(path), hookScript(name, kept))
}

/**
 * Moves somebody's hook aside. Where one is aside already, a hook runner has written this one over ours since then: what
 * it wrote is what runs from now on, and the older one stays under another name unless it is the same.
 */
function keep(path: string, keptPath: string): void {
  if (isThere(keptPath)) {
    if (isSame(path, keptPath)) rmSync(keptPath)
    else renameSync(keptPath, freeName(keptPath))
  }
  renameSync(path, keptPath)
  // A hook that runs the scripts of `NAME.d` finds them by its own name, which is another one now.
  if (existsSync(`${path}.d`) && !existsSync(`${keptPath}.d`))
    symlinkSync(`${basename(path)}.d`, `${keptPath}.d`)
}

function freeName(path: string): string {
  for (let number = 1; ; number++) if (!isThere(`${path}.${number}`)) return `${path}.${number}`
}

/** False also where one of them cannot be read. */
function isSame(path: string, other: string): boolean {
  const text = readHook(path)?.text ?? ''
  return text !== '' && text === readHook(other)?.text
}

/** Writes an executable file, whole; false if it is there already. */
export function writeScript(top: string, path: string, text: string): boolean {
  const full = resolve(top, path)
  // Renamed into place, which follows no link; its folders must be ones.
  treeFolder(top, dirname(full))
  makeFolder(dirname(full))
  return replaceFile(full, text, { executable: true })
}

/** Takes our hook out of `path`, and puts back what was kept. Returns whether anything changed. */
export function takeHook(path: string): boolean {
  const there = readHook(path)
  if (there?.ours) {
    rmSync(path)
    if (there.kept !== '') putBack(`${dirname(path)}/${there.kept}`, path)
    return true
  }
  // A hook runner has removed ours, or has written its own over ours once more.
  const keptPath = `${path}${KEPT_SUFFIX}`
  if (!isThere(keptPath)) return false
  if (there === null) putBack(keptPath, path)
  else if (isSame(path, keptPath)) rmSync(keptPath)
  else return false
  return true
}

function putBack(keptPath: string, path: string): void {
  if (!isThere(keptPath)) return
  if (lstatSync(`${keptPath}.d`, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(`${keptPath}.d`)
  renameSync(keptPath, path)
}
