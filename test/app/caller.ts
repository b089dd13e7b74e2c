/** Use cases called in the test's own process, on a real repository: no program is started but git and ssh-keygen. */
import { onTestFinished } from 'vitest'
import type { Caller } from '../../src/app/caller.ts'
import { TestRepository } from '../make-repository.ts'

/** A guarded repository for one test. */
export function guarded(options: ConstructorParameters<typeof TestRepository>[0] = {}): TestRepository {
  const repository = new TestRepository(options)
  onTestFinished(() => repository.remove())
  return repository
}

/** Somebody in its clone. */
export function callerIn({ clone, env }: TestRepository, more: Record<string, string> = {}): Caller {
  return { folder: clone, environment: { ...env, ...more } }
}
