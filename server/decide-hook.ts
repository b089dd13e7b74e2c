/** The embedded decision. The request is on standard input, the answer goes to standard output, which ends with it. */
import './short-lived.ts'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Answered, answerHook } from './answer-hook.ts'
import type { CompiledCode } from './compiled-code.ts'
import { followMove } from './follow-move.ts'
import { type GuardedRepository, openGuarded } from './guarded-repository.ts'
import { answerText, failureText, type HookRequest, parseHookRequest } from './hook-request.ts'
import { RememberedPolicy } from './remembered-policy.ts'

/** Far above a minute of waiting for others and a decision on a machine that is busy: what hangs is ended. */
const DEADLINE_MS = 180_000
/** How long git may take from our yes to its move, before that is left to the next push to find out. */
const FOLLOW_MS = 10_000

let phase: HookRequest['phase'] | undefined

/** Answers, follows a move that it authorized, and ends the process. */
export function decideHook(code: CompiledCode<unknown>): void {
  decide(code).then(
    () => process.exit(),
    (error: unknown) => {
      say(failureText(error, phase))
      process.exit()
    },
  )
}

async function decide(code: CompiledCode<unknown>): Promise<void> {
  const deadline = setTimeout(() => {
    say('failed\nheadgate: no decision within three minutes\n')
    process.exit()
  }, DEADLINE_MS)
  const request = parseHookRequest(readFileSync(0))
  phase = request.phase
  const policy = new RememberedPolicy(() => guarded.repository.commonDirectory, code.identity)
  const guarded: GuardedRepository = await openGuarded(resolve(request.repository), (text) =>
    policy.read(text),
  )
  try {
    const answer = await answerHook(guarded, request, Date.now, {
      isAwaited: async () => true,
      tell: (text) => writeSync(2, `${text}\n`),
    })
    say(answerText(answer))
    clearTimeout(deadline)
    hangUp()
    if (answer.move !== undefined)
      await followMove(guarded, answer.move, { clock: Date.now, patienceMs: FOLLOW_MS })
    policy.keep()
    code.keep(kindOf(request, answer))
  } finally {
    guarded.close()
  }
}

/** Runs of one kind run nearly the same functions. */
function kindOf({ phase, updates }: HookRequest, { accepted, move }: Answered): string {
  const target = updates.some(({ ref }) => ref.startsWith('refs/headgate/')) ? 'own' : 'branch'
  return [phase, target, accepted ? 'yes' : 'no', ...(move === undefined ? [] : ['move'])].join('-')
}

function say(text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(1, rest))
}

/**
 * Lets the hook go on while this process lives: it waits for our output to end, and git for everything that could still
 * write to the pusher. The numbers stay taken, so that no file is opened as standard output by accident.
 */
function hangUp(): void {
  for (const descriptor of [0, 1, 2]) closeSync(descriptor)
  for (const _ of [0, 1, 2]) openSync('/dev/null', 'r+')
}
