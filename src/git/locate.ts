/** Where a repository is, found as git finds it. */
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** As git looks: `.git` before the folder itself, then the parents. */
export function locate(path: string): { gitDirectory: string; commonDirectory: string } | null {
  let folder: string
  try {
    folder = realpathSync(path)
  } catch {
    return null
  }
  for (;;) {
    const found = gitDirAt(join(folder, '.git')) ?? gitDirAt(folder)
    if (found !== null) return found
    const parent = dirname(folder)
    if (parent === folder) return null
    folder = parent
  }
}

function gitDirAt(path: string): { gitDirectory: string; commonDirectory: string } | null {
  const pointer = isFile(path) ? /^gitdir: (.+?)\n*$/.exec(readText(path) ?? '')?.[1] : undefined
  const gitDir = pointer === undefined ? path : resolve(dirname(path), pointer)
  if (!isFile(join(gitDir, 'HEAD'))) return null
  const common = readText(join(gitDir, 'commondir'))?.replace(/\n+$/, '')
  const commonDirectory = common === undefined ? gitDir : resolve(gitDir, common)
  if (!isFolder(join(commonDirectory, 'objects')) || !isFolder(join(commonDirectory, 'refs'))) return null
  return { gitDirectory: realpathSync(gitDir), commonDirectory: realpathSync(commonDirectory) }
}

/**
 * The bare repository that a folder is, or is in, unless that is in a working tree, whose owner may have committed it. With
 * `safe.bareRepository=explicit`, the default of git 3.0, git finds no bare repository by itself.
 */
export function locateBare(path: string): string | null {
  const folder = locate(path)?.gitDirectory
  if (folder === undefined || folder.split('/').includes('.git')) return null
  const here = realpathSync(path)
  if (here !== folder && !here.startsWith(`${folder}/`)) return null
  return locate(dirname(folder)) === null ? folder : null
}

/** Whether commits lack their parents here, as in `git clone --depth 1`: git lists them in a file, which may be empty. */
export function isShallow(commonDirectory: string): boolean {
  return (statSync(join(commonDirectory, 'shallow'), { throwIfNoEntry: false })?.size ?? 0) > 0
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return isFile(path)
  } catch {
    return false
  }
}
