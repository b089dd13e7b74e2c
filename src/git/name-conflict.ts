import type { GitRepository } from './repository.ts'

/** A ref that keeps git from creating another: `a/b` where `a` is, or the other way round. Null if there is none. */
export async function conflictingRef(repository: GitRepository, ref: string): Promise<string | null> {
  const parts = ref.split('/')
  const above = parts.slice(3).map((_, index) => parts.slice(0, index + 3).join('/'))
  for (const name of (await repository.refs(above)).keys()) return name
  const { stdout } = await repository.run(['for-each-ref', '--count=1', '--format=%(refname)', `${ref}/`])
  const below = stdout.toString('utf8').trimEnd()
  return below === '' ? null : below
}
