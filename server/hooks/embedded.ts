/** The embedded decision. The request is on standard input, the answer goes to standard output, which ends with it. */
import '../short-lived.ts'
import { readFileSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import type * as PolicyYaml from '../../src/core/policy/policy-yaml.ts'
import { type GuardedRepository, openGuarded } from '../guarded-repository.ts'
import { answerHook } from './answer.ts'
import { answerText, failureText, type HookRequest, parseHookRequest } from './request.ts'

/** Far above a minute of waiting for others and a decision on a machine that is busy: what hangs is ended. */
const DEADLINE_MS = 180_000

let phase: HookRequest['phase'] | undefined

/** Answers, and ends the process. */
export function decideHook(): void {
  decide().then(
    () => process.exit(),
    (error: unknown) => {
      say(failureText(error, phase))
      process.exit()
    },
  )
}

async function decide(): Promise<void> {
  const deadline = setTimeout(() => {
    say('failed\nheadgate: no decision within three minutes\n')
    process.exit()
  }, DEADLINE_MS)
  const request = parseHookRequest(readFileSync(0))
  phase = request.phase
  const guarded = await openGuarded(resolve(request.repository), readPolicy)
  try {
    const answer = await answerHook(guarded, request, Date.now, {
      isAwaited: async () => true,
      tell: (text) => writeSync(2, `${text}\n`),
    })
    say(answerText(answer))
    clearTimeout(deadline)
  } finally {
    guarded.close()
  }
}

/** Is larger than this program, and wanted only where an older headgate applied the policy: it is loaded then. */
const READER = join(__dirname, 'read-policy.js')

async function readPolicy(text: string): ReturnType<GuardedRepository['readPolicy']> {
  const { parsePolicy } = loadReader()
  try {
    return parsePolicy(text)
  } catch (cause) {
    // That program has a HeadgateError of its own.
    const { name, code, message, hint } = cause as HeadgateError
    if (name !== 'HeadgateError') throw cause
    throw new HeadgateError(code, message, { cause, ...(hint === undefined ? {} : { hint }) })
  }
}

function loadReader(): typeof PolicyYaml {
  try {
    return require(READER)
  } catch (cause) {
    const why = (cause as Error).message.split('\n', 1)[0]
    throw new HeadgateError('configuration', `${READER} cannot run: ${why}`, {
      hint: 'if headgate is not being replaced right now, the server admin installs again: headgate server install',
      cause,
    })
  }
}

function say(text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest))
}
