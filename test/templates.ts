/**
 * Prepared folders, copied instead of made anew: a guarded repository takes some twenty processes to make, and the tests
 * need hundreds of the same kind. What is prepared is as real as ever; a copy only changes the paths that it names.
 *
 * The templates of a run are shared by all its workers and removed at its end (`setup`, vitest's global set-up). Outside
 * of a run there are none, and everything is made in place.
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VARIABLE = 'HEADGATE_TEST_TEMPLATES'
/** Beside the copied folder: where it was made, and which of its files say so. */
const PLACE = 'place.json'
const CONTENT = 'content'

export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-templates-'))
  process.env[VARIABLE] = folder
  return () => rmSync(folder, { recursive: true, force: true })
}

/**
 * Makes an empty `folder` into what `make` would leave in it. `kind` tells apart whatever `make` does differently; it
 * is called at most once for each kind (more often only if two workers need it at the same moment).
 */
export function fillFolder(folder: string, kind: unknown, make: (folder: string) => void): void {
  const templates = process.env[VARIABLE]
  if (templates === undefined) {
    make(folder)
    return
  }
  const name = createHash('sha256').update(JSON.stringify(kind)).digest('hex').slice(0, 16)
  const template = join(templates, name)
  if (existsSync(template)) {
    copy(template, folder)
    return
  }
  make(folder)
  const fresh = mkdtempSync(join(templates, 'fresh-'))
  copyFolder(folder, join(fresh, CONTENT))
  writeFileSync(join(fresh, PLACE), JSON.stringify({ folder, files: filesNaming(folder) }))
  try {
    renameSync(fresh, template)
  } catch {
    // Another worker was first; its template is as good.
    rmSync(fresh, { recursive: true })
  }
}

function copy(template: string, folder: string): void {
  copyFolder(join(template, CONTENT), folder)
  const place: { folder: string; files: string[] } = JSON.parse(readFileSync(join(template, PLACE), 'utf8'))
  for (const path of place.files) {
    const file = join(folder, path)
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(place.folder, folder))
  }
}

/** A hook that has answered may still be putting away what it made ahead, so that a file is gone before it is copied. */
function copyFolder(from: string, to: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      cpSync(from, to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === COPY_ATTEMPTS) throw error
    }
  }
}

const COPY_ATTEMPTS = 5

/** The files below a folder that name it. A binary file among them could not be copied. */
function filesNaming(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => {
      const bytes = readFileSync(file)
      if (!bytes.includes(folder)) return false
      if (bytes.includes(0)) throw new Error(`${file} names ${folder}, and is no text`)
      return true
    })
    .map((file) => file.slice(folder.length + 1))
}
