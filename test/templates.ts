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
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VARIABLE = 'HEADGATE_TEST_TEMPLATES'
/** Beside the copied folder: where it was made, which of its files say so, and what making it returned. */
const PLACE = 'place.json'
const CONTENT = 'content'

export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-templates-'))
  process.env[VARIABLE] = folder
  return () => rmSync(folder, { recursive: true, force: true })
}

/**
 * Makes `folder` into what `make` would leave in it, and returns what `make` would return, which must be JSON. `kind` tells
 * apart whatever is different in `make` or in the folder before; `make` is called once for each kind (more often only if
 * two workers need it at the same moment).
 */
export function fillFolder<T>(folder: string, kind: unknown, make: () => T): T {
  const templates = process.env[VARIABLE]
  if (templates === undefined) return make()
  const name = createHash('sha256').update(JSON.stringify(kind)).digest('hex').slice(0, 16)
  const template = join(templates, name)
  if (existsSync(template)) return copy<T>(template, folder)
  const value = make()
  const fresh = mkdtempSync(join(templates, 'fresh-'))
  cpSync(folder, join(fresh, CONTENT), COPYING)
  writeFileSync(join(fresh, PLACE), JSON.stringify({ folder, files: filesNaming(folder), value }))
  try {
    renameSync(fresh, template)
  } catch {
    // Another worker was first; its template is as good.
    rmSync(fresh, { recursive: true })
  }
  return value
}

/** Changes whenever a file below the folder does. */
export function fingerprint(folder: string): string {
  const hash = createHash('sha256')
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { size, mtimeMs, mode } = lstatSync(path)
    hash.update(`${path.slice(folder.length)} ${mode} ${entry.isDirectory() ? '' : `${size} ${mtimeMs}`}\n`)
  }
  return hash.digest('hex')
}

const COPYING = { recursive: true, preserveTimestamps: true, verbatimSymlinks: true }

function copy<T>(template: string, folder: string): T {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })
  cpSync(join(template, CONTENT), folder, COPYING)
  const place: { folder: string; files: string[]; value: T } = JSON.parse(
    readFileSync(join(template, PLACE), 'utf8'),
  )
  for (const path of place.files) {
    const file = join(folder, path)
    const { mode } = statSync(file)
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(place.folder, folder), { mode })
  }
  return place.value
}

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
