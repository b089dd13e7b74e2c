/**
 * Refs that git takes for a guarded branch where somebody writes its short name. The server refuses new ones; those that
 * are there are in nobody's way but that of people who type short names. Deleting one can lose what it names: nobody but a
 * person decides that.
 */

import { refsOf } from '../../audit/foresee.ts'
import type { PolicyInForce } from '../../audit/policy-in-force.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { namesakesOf } from '../../core/rules/namesake.ts'
import { formerBranches } from '../../core/state.ts'
import { gitWithoutHooks } from '../../git/configured-hooks.ts'
import type { GitRepository } from '../../git/repository.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import type { ClientRepository } from '../client-repository.ts'
import { type Finding, problem, remark } from './finding.ts'

/** The branches that are guarded, those of earlier policies too. */
export function guardedRefs(snapshot: Snapshot, { policy }: PolicyInForce): string[] {
  const former = formerBranches(snapshot.state).map(({ ref }) => ref)
  return [...new Set([...Object.values(refsOf(policy)), ...former])]
}

/** Those of the guarded repository itself. */
export async function serverNamesakes(
  repository: GitRepository,
  branches: readonly string[],
): Promise<Finding[]> {
  const git = gitWithoutHooks(repository.commonDirectory)
  const names = branches.flatMap(namesakesOf)
  const found = await repository.refs(names)
  return names
    .filter((name) => found.has(name))
    .map((name) =>
      // What a symbolic ref stands for must not go with it.
      problem('namesake', whatOf(name, 'is here'), `${git} update-ref --no-deref -d ${shellWord(name)}`),
    )
}

/** Those that a remote has: they come into every clone, with the commits that they name. */
export async function remoteNamesakes(
  client: ClientRepository,
  remote: { readonly name: string; readonly target: string },
  branches: readonly string[],
): Promise<Finding[]> {
  const names = branches.flatMap(namesakesOf)
  const found = await client.remoteRefs(remote.target, names)
  const shown = printable(remote.name, 100)
  return names
    .filter((name) => found.has(name))
    .map((name) =>
      problem(
        'namesake',
        whatOf(name, `is on ${shown}`),
        `git push ${shellWord(remote.name)} ${shellWord(`:${name}`)}  # who wants to keep it first pushes it by another name`,
      ),
    )
}

/** Those of a clone, and what git takes there for the branch as it was fetched last, `origin/release`. */
export async function ownNamesakes(
  repository: GitRepository,
  remote: string,
  branches: readonly string[],
): Promise<Finding[]> {
  const followed = branches.map((ref) => `${remote}/${ref.replace(/^refs\/heads\//, '')}`)
  const names = [
    ...branches.flatMap(namesakesOf),
    ...followed.flatMap((name) => [...namesakesOf(name), `refs/heads/${name}`]),
  ]
  const found = await repository.refs(names)
  return names
    .filter((name) => found.has(name))
    .map((name) => remark('namesake', whatOf(name, 'is in this clone'), removal(name)))
}

function removal(ref: string): string {
  const [, kind, name = ''] = /^refs\/(tags|heads)\/(.*)$/.exec(ref) ?? []
  if (kind === undefined) return `git update-ref --no-deref -d ${shellWord(ref)}`
  return kind === 'tags' ? `git tag -d ${shellWord(name)}` : `git branch -m ${shellWord(name)} NAME`
}

function whatOf(ref: string, where: string): string {
  const short = printable(ref.replace(/^refs\/(?:tags\/|heads\/)?/, ''), 100)
  return `${printable(ref, 150)} ${where}: git takes the short name ${short} for it, and no longer for the branch`
}
