/** Making a commit that changes one file, without a working tree or an index: people keep theirs as they are. */
import { HeadgateError } from '../../core/errors.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import { entryReader, fileAt } from '../../git/file-at.ts'
import { MAX_LOG_BYTES } from '../../git/gather-log-steps.ts'
import type { GitRepository } from '../../git/repository.ts'
import type { ClientRepository } from '../clone/client-repository.ts'

export type LogFile = { readonly mode: string; readonly bytes: Buffer }

/** The file at `path` in a commit; empty where there is none. Throws 'configuration' if it is something else. */
export async function readLogFile(
  client: ClientRepository,
  repository: GitRepository,
  commit: Oid,
  path: string,
): Promise<LogFile> {
  const read = () => readFile(repository, commit, path)
  return read().catch(async (error) => {
    if (!(error instanceof HeadgateError) || error.code !== 'unavailable') throw error
    // A partial clone fetches what it lacks when the user's git is asked for it.
    await client.git('cat-file', '-e', `${commit}:${path}`).catch(() => undefined)
    return read()
  })
}

async function readFile(repository: GitRepository, commit: Oid, path: string): Promise<LogFile> {
  const file = await fileAt(entryReader(repository), commit, path)
  if (file === null) return { mode: '100644', bytes: Buffer.alloc(0) }
  if (/^100/.test(file.mode)) {
    const object = await repository.objects().read(file.blob, MAX_LOG_BYTES)
    if (object !== null) return { mode: file.mode, bytes: object.body }
    throw new HeadgateError('unavailable', `the object ${file.blob} is missing`)
  }
  throw new HeadgateError(
    'configuration',
    `${printable(path, 200)} in ${shortOid(commit)} is not a file that can be appended to`,
    {
      hint: 'releaseLog in the policy names the file',
    },
  )
}

/** A commit on top of `parent` in which `path` has this content. Nothing refers to it yet. */
export async function commitFile(
  client: ClientRepository,
  repository: GitRepository,
  change: {
    readonly parent: Oid
    readonly path: string
    readonly file: LogFile
    readonly message: string
  },
): Promise<Oid> {
  const { parent, path, file, message } = change
  const blob = await write(repository, ['hash-object', '-w', '--no-filters', '--stdin'], file.bytes)
  const tree = await withFile(repository, `${parent}^{tree}`, path.split('/'), `${file.mode} blob ${blob}`)
  // The author is the user, with the name and, where they sign commits, the key that git knows.
  const sign = (
    await client.git('config', '--type=bool', '--default=false', '--get', 'commit.gpgSign')
  ).trim()
  const signed = sign === 'true' ? ['-S'] : []
  return (await client.git('commit-tree', ...signed, tree, '-p', parent, '-m', message)).trim()
}

/** The tree with `entry` at the path; the names of all others stay the bytes that they are. */
async function withFile(
  repository: GitRepository,
  tree: string | null,
  [name = '', ...rest]: readonly string[],
  entry: string,
): Promise<Oid> {
  const listed =
    tree === null ? '' : (await repository.run(['ls-tree', '-z', tree])).stdout.toString('latin1')
  const lines = listed.split('\0').filter((line) => line !== '')
  const own = Buffer.from(name, 'utf8').toString('latin1')
  const before = lines.find((line) => line.slice(line.indexOf('\t') + 1) === own)
  let made = entry
  if (rest.length > 0) {
    const [, type, oid] = /^\d+ (\w+) ([0-9a-f]+)\t/.exec(before ?? '') ?? []
    if (before !== undefined && type !== 'tree') {
      throw new HeadgateError('configuration', `${printable(name, 100)} is not a folder`, {
        hint: 'releaseLog in the policy names a file below it',
      })
    }
    made = `040000 tree ${await withFile(repository, oid ?? null, rest, entry)}`
  }
  const next = [...lines.filter((line) => line !== before), `${made}\t${own}`]
  return write(
    repository,
    ['mktree', '-z', '--missing'],
    Buffer.from(next.map((line) => `${line}\0`).join(''), 'latin1'),
  )
}

async function write(repository: GitRepository, args: readonly string[], input: Buffer): Promise<Oid> {
  const { stdout } = await repository.write(args, { input })
  return stdout.toString('latin1').trim()
}
