/** How a hook that decides by itself reads a policy: it asks what an earlier one kept, and only then loads the reader. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { HeadgateError } from '../src/core/errors.ts'
import type { Policy } from '../src/core/policy.ts'
import { VERSION } from '../src/core/version.ts'
import { keepPolicy, type PolicyMemo, recallPolicy } from './policy-memo.ts'
import type * as ReadPolicy from './read-policy.ts'

/** A bundle of its own, beside this one. */
const READER = join(__dirname, 'read-policy.cjs')

export class RememberedPolicy {
  readonly #gitDirectory: () => string
  readonly #program: string
  #unkept: PolicyMemo | undefined

  /** `identity`: that of the program that runs. */
  constructor(gitDirectory: () => string, identity: string) {
    this.#gitDirectory = gitDirectory
    this.#program = `${identity} ${readerIdentity()}`
  }

  /** Throws HeadgateError 'configuration' that lists what is wrong with the text. */
  read(text: string): Policy {
    const memo = recallPolicy(this.#gitDirectory(), this.#program)
    if (memo?.text === text) return memo.policy
    const policy = readFresh(text)
    this.#unkept = { text, policy }
    return policy
  }

  /** For the next hook, if this one had to load the reader. Never throws. */
  keep(): void {
    if (this.#unkept !== undefined) keepPolicy(this.#gitDirectory(), this.#program, this.#unkept)
  }
}

/** An installation changes at least one of these, and with it perhaps what a policy means. */
function readerIdentity(): string {
  const status = statSync(READER, { throwIfNoEntry: false })
  if (status === undefined) throw unusable('is gone')
  return `${status.ino}-${status.size}-${status.ctimeMs}`
}

function readFresh(text: string): Policy {
  const reader = loadReader()
  try {
    return reader.parsePolicy(text)
  } catch (cause) {
    // The other bundle has a HeadgateError of its own.
    const { name, code, message, hint } = cause as HeadgateError
    throw name === 'HeadgateError'
      ? new HeadgateError(code, message, { cause, ...(hint === undefined ? {} : { hint }) })
      : cause
  }
}

function loadReader(): typeof ReadPolicy {
  let reader: Partial<typeof ReadPolicy>
  try {
    reader = require(READER)
  } catch (cause) {
    throw unusable(`cannot run: ${(cause as Error).message.split('\n', 1)[0]}`)
  }
  // What one version calls a key of the policy, another one may call otherwise.
  if (reader.VERSION !== VERSION)
    throw unusable(`is of headgate ${reader.VERSION}, and this hook of ${VERSION}`)
  return reader as typeof ReadPolicy
}

function unusable(problem: string): HeadgateError {
  return new HeadgateError('configuration', `${READER} ${problem}`, {
    hint: 'if headgate is not being replaced right now, the server admin installs again: headgate server install',
  })
}
