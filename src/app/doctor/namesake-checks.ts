/**
 * Refs that git takes for a guarded branch where somebody writes its short name. The server refuses new ones; those that
 * are there only mislead people who type short names. Deleting one can lose what it names: nobody but a
 * person decides that.
 */

import { printable, shellWord } from '../../core/printable.ts'
import { namesakesOf, nameTaken } from '../../core/rules/namesake.ts'
import { formerBranches } from '../../core/state.ts'
import { gitWithoutHooks } from '../../git/configured-hooks.ts'
import type { GitRepository } from '../../git/repository.ts'
import { refsOf } from '../../guard/foresee.ts'
import type { PolicyInForce } from '../../guard/policy-in-force.ts'
import type { Snapshot } from '../../ledger/ledger.ts'
import type { ClientRepository } from '../clone/client-repository.ts'
import { type Diagnosis, problem, remark } from './diagnosis.ts'

/** The branches that are guarded, those of earlier policies too. */
export function guardedRefs(snapshot: Snapshot, { policy }: PolicyInForce): string[] {
  const former = formerBranches(snapshot.state).map(({ ref }) => ref)
  return [...new Set([...Object.values(refsOf(policy)), ...former])]
}

/** Those of the guarded repository itself. */
export async function serverNamesakes(
  repository: GitRepository,
  branches: readonly string[],
): Promise<Diagnosis[]> {
  const git = gitWithoutHooks(repository.commonDirectory)
  const taken = takenNames(branches)
  const found = await repository.refs(taken.keys())
  return [...taken]
    .filter(([ref]) => found.has(ref))
    .map(([ref, name]) =>
      // What a symbolic ref stands for must not go with it.
      problem('namesake', whatOf(ref, name, 'is here'), `${git} update-ref --no-deref -d ${shellWord(ref)}`),
    )
}

/** Those that a remote has. A tag comes into every clone, with the commits that it names. */
export async function remoteNamesakes(
  client: ClientRepository,
  remote: { readonly name: string; readonly target: string },
  branches: readonly string[],
): Promise<Diagnosis[]> {
  const taken = takenNames(branches)
  const found = await client.remoteRefs(remote.target, [...taken.keys()])
  const shown = printable(remote.name, 100)
  return [...taken]
    .filter(([ref]) => found.has(ref))
    .map(([ref, name]) =>
      problem(
        'namesake',
        whatOf(ref, name, `is on ${shown}`),
        `git push ${shellWord(remote.name)} ${shellWord(`:${ref}`)}  # who wants to keep it first pushes it by another name`,
      ),
    )
}

/** Those of a clone, and what git takes there for the branch as it was fetched last, `origin/release`. */
export async function ownNamesakes(
  repository: GitRepository,
  remote: string,
  branches: readonly string[],
): Promise<Diagnosis[]> {
  const taken = takenNames(branches)
  for (const branch of branches) {
    const name = `${remote}/${branch.replace(/^refs\/heads\//, '')}`
    for (const folder of ['refs/', 'refs/tags/', 'refs/heads/']) taken.set(folder + name, name)
  }
  const found = await repository.refs(taken.keys())
  return [...taken]
    .filter(([ref]) => found.has(ref))
    .map(([ref, name]) => remark('namesake', whatOf(ref, name, 'is in this clone'), removal(ref)))
}

/** Each namesake, and the name by which it is taken for the branch. */
function takenNames(branches: readonly string[]): Map<string, string> {
  return new Map(
    branches.flatMap((branch) =>
      namesakesOf(branch).map((ref): [string, string] => [ref, nameTaken(ref, branch)]),
    ),
  )
}

function removal(ref: string): string {
  const [, kind, name = ''] = /^refs\/(tags|heads)\/(.*)$/.exec(ref) ?? []
  if (kind === undefined) return `git update-ref --no-deref -d ${shellWord(ref)}`
  return kind === 'tags' ? `git tag -d ${shellWord(name)}` : `git branch -m ${shellWord(name)} NAME`
}

function whatOf(ref: string, name: string, where: string): string {
  return `${printable(ref, 150)} ${where}: git takes ${printable(name, 100)} for it and not for the branch, or for both`
}
