/** Why a name that the user gave is no commit here. */

import type { GitError } from 'simple-git'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'

/** `peeled` is what git says of the name when any kind of object will do. */
export function notACommit(name: string, peeled: string | GitError): HeadgateError {
  const shown = printable(name, 100)
  if (typeof peeled === 'string') {
    return new HeadgateError('usage', `"${shown}" is no commit, but another object`, {
      hint: 'name a commit, a branch or a tag of one: git log --oneline',
    })
  }
  if (/is ambiguous/.test(peeled.message)) {
    return new HeadgateError('usage', `"${shown}" is ambiguous: several objects begin with it`, {
      hint: 'give more of the id; git log --oneline prints enough',
    })
  }
  if (name === 'HEAD') {
    return new HeadgateError('usage', 'nothing is checked out here: HEAD names no commit yet', {
      hint: 'name a commit, or check out a branch first',
    })
  }
  return new HeadgateError('usage', `there is no commit "${shown}" in this clone`, {
    hint: 'fetch first, or name a commit, branch or tag that exists: git log --oneline',
  })
}
