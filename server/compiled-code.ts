/**
 * `REPO.git/headgate/cache/code`: what V8 has compiled of a program, for the next process that runs it. Compiling is a
 * sixth of what a hook does that decides by itself. Node's own compile cache is made when a program is loaded, before most
 * of its functions have run; this one is made when they have.
 *
 *     headgate-code 1 <identity> <CRC-32 of the data, 8 hex digits> <kinds, with commas between>\n<data>
 *
 * The identity is that of Node, the machine and the program. V8 takes data of its own version and flags only; the rest is
 * checked here, since of the program V8 looks at the length alone, and torn data could make it do anything. Who can write
 * there can write the hooks.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { crc32 } from 'node:zlib'
import { keepFile } from './cache-file.ts'

export type CompiledCode<Exports> = {
  readonly exports: Exports
  /** Of what runs: another program has another, and so has another Node. */
  readonly identity: string
  /**
   * Keeps what is compiled by now, unless a run of this kind was kept before: other kinds run other functions. `kind` is a
   * word without commas. Never throws: where it cannot be kept, the next process compiles again.
   */
  keep(kind: string): void
}

const FORM = 'headgate-code 1'
/** What is compiled of a program of half a megabyte is no more than some times that. */
const MAX_BYTES = 16 * 1024 * 1024
const MAX_HEADER_BYTES = 1024

type Kept = { readonly kinds: readonly string[]; readonly data: Buffer }

/**
 * Runs a CommonJS program, a file of ASCII text, which loads others by `load`. Without a folder nothing is kept. Errors:
 * those of reading it, and whatever it throws.
 */
export function runCompiled<Exports>(
  program: string,
  cacheFolder: string | undefined,
  load: NodeJS.Require,
): CompiledCode<Exports> {
  const source = readFileSync(program)
  const { version, arch } = process
  const identity = `${version}-${arch}-${source.length}-${hex(source)}`
  const file = cacheFolder === undefined ? undefined : join(cacheFolder, 'code')
  const kept = file === undefined ? undefined : recall(file, identity)
  const script = new Script(
    `(function (exports, require, module, __filename, __dirname) {${source.toString('latin1')}\n})`,
    { filename: program, ...(kept === undefined ? {} : { cachedData: kept.data }) },
  )
  const kinds = kept === undefined || script.cachedDataRejected ? [] : kept.kinds
  const module = { exports: {} as Exports }
  script.runInThisContext()(module.exports, load, module, program, join(program, '..'))
  const keep = (kind: string) => {
    if (file === undefined || kinds.includes(kind)) return
    const data = script.createCachedData()
    const header = `${FORM} ${identity} ${hex(data)} ${[...kinds, kind].join(',')}\n`
    keepFile(file, Buffer.concat([Buffer.from(header), data]))
  }
  return { exports: module.exports, identity, keep }
}

function recall(file: string, identity: string): Kept | undefined {
  try {
    const bytes = readFileSync(file)
    if (bytes.length > MAX_BYTES) return undefined
    const end = bytes.subarray(0, MAX_HEADER_BYTES).indexOf('\n')
    const header = bytes.toString('latin1', 0, end)
    const start = `${FORM} ${identity} `
    const data = bytes.subarray(end + 1)
    if (end < 0 || !header.startsWith(`${start}${hex(data)} `)) return undefined
    return { kinds: header.slice(start.length + 9).split(','), data }
  } catch {
    return undefined
  }
}

function hex(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0')
}
