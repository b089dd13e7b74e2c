/**
 * Refs that git takes for a branch where it is given the short name, because it looks at them first (gitrevisions): the tag
 * `release`, and `refs/release`. git makes such a tag by itself when somebody pushes a tag to `release` before the branch is
 * there. Afterwards the short name means the wrong thing in every clone, and a push to it is ambiguous.
 */
import type { ObjectType } from '../facts.ts'
import { type Oid, shortOid } from '../oid.ts'
import { printable, shellWord } from '../printable.ts'
import type { Objection } from '../verdict.ts'

/** The namesakes of a branch, both by their full names. */
export function namesakesOf(branch: string): string[] {
  const name = branch.replace(/^refs\/heads\//, '')
  // A branch named `heads/x` or the like has another part of git's own as its namesake, which is judged as what it is.
  return [`refs/tags/${name}`, `refs/${name}`].filter(
    (ref) => !/^refs\/(?:heads|headgate|remotes)\//.test(ref),
  )
}

/** Why nobody makes or moves `ref`, which is a namesake of `branch`. */
export function namesake(
  ref: string,
  branch: string,
  { to, objectType }: { readonly to: Oid; readonly objectType: ObjectType },
): Objection {
  const name = printable(branch.replace(/^refs\/heads\//, ''), 120)
  const commit = { commit: shortOid(to), tag: `${shortOid(to)}^{commit}` }[objectType as string] ?? 'COMMIT'
  return {
    rule: 'namesake',
    found: [
      `git takes ${name} for ${printable(ref, 120)} where there is one, and no longer for the branch; a push to ${name} would be ambiguous`,
    ],
    fix: [
      'to move the branch, write its name in full:',
      `  git push origin ${shellWord(`${commit}:${branch}`)}`,
      ref.startsWith('refs/tags/') ? 'or give the tag another name' : 'or give the ref another name',
    ],
  }
}
