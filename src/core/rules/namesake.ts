/**
 * Refs that git takes for a branch (gitrevisions), so that nobody reaches the branch by that name any more. By its short name
 * it looks at the tag `release` and at `refs/release` first; git makes such a tag by itself when somebody pushes a tag to
 * `release` before the branch is there. The full name is the branch's where something is read, but a push to it is ambiguous
 * where there is `refs/heads/refs/heads/release`, and may go there where the branch is still to come.
 */
import type { ObjectType } from '../facts.ts'
import { type Oid, shortOid } from '../oid.ts'
import { printable, shellWord } from '../printable.ts'
import type { Objection } from '../verdict.ts'

/** The namesakes of a branch, all by their full names. */
export function namesakesOf(branch: string): string[] {
  const name = branch.replace(/^refs\/heads\//, '')
  // A branch `heads/x` or the like would have a part of git's own as its namesake, which is judged as what it is.
  const short = [`refs/tags/${name}`, `refs/${name}`].filter(
    (ref) => !/^refs\/(?:heads|headgate|remotes)\//.test(ref),
  )
  const full = ['refs/heads/', 'refs/tags/', 'refs/', 'refs/remotes/'].map((folder) => folder + branch)
  return [...short, ...full, `refs/remotes/${branch}/HEAD`]
}

/** The name by which `ref` is taken for the branch. */
export function nameTaken(ref: string, branch: string): string {
  return ref.includes(`/${branch}`) ? branch : branch.replace(/^refs\/heads\//, '')
}

/** Why nobody makes or moves `ref`, which is a namesake of `branch`. */
export function namesake(
  ref: string,
  branch: string,
  { to, objectType }: { readonly to: Oid; readonly objectType: ObjectType },
): Objection {
  const name = printable(nameTaken(ref, branch), 120)
  const commit = { commit: shortOid(to), tag: `${shortOid(to)}^{commit}` }[objectType as string] ?? 'COMMIT'
  return {
    rule: 'namesake',
    found: [
      `where there is ${printable(ref, 120)}, git takes ${name} for it and not for the branch, or for both`,
    ],
    fix: [
      'to move the branch, write its name in full:',
      `  git push origin ${shellWord(`${commit}:${branch}`)}`,
      ref.startsWith('refs/tags/') ? 'or give the tag another name' : 'or give the ref another name',
    ],
  }
}
