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

function proveTwoOfThree(repository: TestRepository): void {
  const two = repository.commit('two')
  repository.commit('three')
  repository.pushProved(two)
}

function pushProvedThree(repository: TestRepository): void {
  repository.pushProved(repository.commit('three'))
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

function proveNext(repository: TestRepository): void {
  repository.pushProved(repository.commit('next'))
}

/** `next` is on main, and nothing was ever released. */
export const ahead: readonly Step[] = [pushNext]

/** The same, and staging has proved it. */
export const provedFirst: readonly Step[] = [proveNext]

/** `one` is released. */
export const released: readonly Step[] = [releaseOne]

/** `one` was released, and then `two`. */
export const releasedTwice: readonly Step[] = [...released, releaseTwo]

/** The same, and staging has proved `three`. */
export const releasedTwiceAndProved: readonly Step[] = [...releasedTwice, pushProvedThree]

/** `one` is released; `two` is on main, and nothing is known of it. */
export const unproved: readonly Step[] = [...released, pushTwo]

/** The same, and staging has proved `two`. */
export const proved: readonly Step[] = [...unproved, proveTwo]

/** `one` is released, staging has proved `two`, and `three` is on main. */
export const provedAndAhead: readonly Step[] = [...released, proveTwoOfThree]

/** `two` is released after `one`; `next` is on main. */
export const releasedTwiceAndAhead: readonly Step[] = [...releasedTwice, pushNext]

/** The ids of the last commits, the oldest first. */
export function lastCommits(repository: TestRepository, count: number): string[] {
  return repository.git('rev-list', '--reverse', `-${count}`, 'HEAD').split('\n')
}
