/**
 * What a test repository can begin with, beyond its first commit: steps for the option `prepare`, so that each beginning
 * is made once in a run and copied. The commits' ids are read from the copy.
 */
import type { Step, TestRepository } from './make-repository.ts'

function releaseOne(repository: TestRepository): void {
  repository.release('one')
}

function releaseTwo(repository: TestRepository): void {
  repository.release('two')
}

function pushTwo(repository: TestRepository): void {
  repository.commit('two')
  repository.mustRun(repository.push('main'))
}

function proveTwo(repository: TestRepository): void {
  repository.prove(repository.git('rev-parse', 'HEAD'))
}

function pushNext(repository: TestRepository): void {
  repository.commit('next')
  repository.mustRun(repository.push('main'))
}

/** `next` is on main, and nothing was ever released. */
export const ahead: readonly Step[] = [pushNext]

/** `one` is released. */
export const released: readonly Step[] = [releaseOne]

/** `one` was released, and then `two`. */
export const releasedTwice: readonly Step[] = [...released, releaseTwo]

/** `one` is released; `two` is on main, and nothing is known of it. */
export const unproved: readonly Step[] = [...released, pushTwo]

/** The same, and staging has proved `two`. */
export const proved: readonly Step[] = [...unproved, proveTwo]

/** The ids of the last commits, the oldest first. */
export function lastCommits(repository: TestRepository, count: number): string[] {
  return repository.git('rev-list', '--reverse', `-${count}`, 'HEAD').split('\n')
}
