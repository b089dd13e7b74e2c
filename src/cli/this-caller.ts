import type { Caller } from '../app/caller.ts'
import { findGit } from '../git/find-git.ts'

/** This process as the caller of a use case. */
export function thisCaller(): Caller {
  return { folder: process.cwd(), environment: process.env, terminal: process.stderr.isTTY }
}

/** The git in its PATH. */
export function gitOfCaller(): string {
  return findGit(thisCaller().environment)
}
