import { HeadgateError } from '../../src/core/errors.ts'
import type { Terms } from '../../src/core/policy/policy.ts'
import { printable, shellWord } from '../../src/core/printable.ts'
import { guardedBranches } from '../../src/core/refs.ts'
import type { GitRepository } from '../../src/git/repository.ts'

/**
 * Throws HeadgateError 'configuration' if one of them is a symbolic ref: it would move whenever its target does, under a
 * name that nobody guards.
 */
export async function requireNoAlias(repository: GitRepository, policy: Terms): Promise<void> {
  for (const [ref, { symref }] of await repository.refs(guardedBranches(policy))) {
    if (symref === undefined) continue
    const git = `git --git-dir=${shellWord(repository.commonDirectory)}`
    throw new HeadgateError(
      'configuration',
      `${ref} is a symbolic ref to ${printable(symref)}, and a guarded branch must be a branch itself`,
      {
        hint: `name ${printable(symref.replace('refs/heads/', ''))} in the policy, or make it a branch: ${git} update-ref --no-deref ${ref} $(${git} rev-parse ${ref})`,
      },
    )
  }
}
