/**
 * The embedded decision: the shell hooks start this where a guarded ref is pushed. They pass a built environment and
 * the lines of standard input that matter; the answer is the exit code and the text.
 *
 *     node hook.js pre-receive | post-receive COMMON_DIR
 *     node hook.js reference-transaction COMMON_DIR prepared | committed
 */
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_CODES, HeadgateError } from '../src/core/errors.ts'
import { verifyQuarantine } from '../src/git/environment.ts'
import { parsePushOptions, parseUpdates, type RefUpdate } from '../src/git/hook-input.ts'
import type { GitRepository } from '../src/git/repository.ts'
import { readGuardedNames } from './guarded-list.ts'
import { type GuardedRepository, openGuarded } from './guarded-repository.ts'
import { postReceive } from './post-receive.ts'
import { type HookAnswer, preReceive } from './pre-receive.ts'
import { isReserved } from './push-report.ts'
import { committed, prepared } from './reference-transaction.ts'

/** A hook that answers later than this helps nobody: the client has hung up, or somebody kills it. */
const DEADLINE_MS = 60_000

async function main(): Promise<number> {
  const [phase = '', directory = '', state = ''] = process.argv.slice(2)
  const deadline = setTimeout(() => {
    process.stderr.write('headgate: no decision within a minute; guarded refs are refused\n')
    process.exit(EXIT_CODES.unavailable)
  }, DEADLINE_MS)
  deadline.unref()
  try {
    const answer = await answerHook(phase, directory, state)
    if (answer.text !== '') process.stderr.write(`${answer.text}\n`)
    return answer.accepted ? EXIT_CODES.ok : EXIT_CODES.refused
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error
    process.stderr.write(`headgate: no decision can be made: ${error.message}\n`)
    if (error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`)
    return EXIT_CODES[error.code]
  }
}

async function answerHook(phase: string, directory: string, state: string): Promise<HookAnswer> {
  const { env } = process
  const updates = parseUpdates(readFileSync(0))
  const quarantine = env.GIT_QUARANTINE_PATH ?? ''
  const guarded = await openGuarded(
    directory,
    quarantine === '' ? undefined : (verifyQuarantine(quarantine, join(directory, 'objects')) ?? undefined),
  )
  try {
    switch (phase) {
      case 'pre-receive':
        return await preReceive(
          guarded,
          {
            updates: await withTargets(guarded, updates, env.GIT_NAMESPACE ?? ''),
            identity: {
              value: env.HEADGATE_PUSHER ?? '',
              certificate: {
                blob: env.GIT_PUSH_CERT ?? '',
                nonceStatus: env.GIT_PUSH_CERT_NONCE_STATUS ?? '',
              },
            },
            pushOptions: parsePushOptions(env),
          },
          Date.now,
        )
      case 'post-receive':
        return await postReceive(
          guarded,
          await withTargets(guarded, updates, env.GIT_NAMESPACE ?? ''),
          Date.now,
        )
      case 'reference-transaction':
        return state === 'prepared' ? await prepared(guarded, updates) : await committed(guarded, Date.now)
      default:
        throw new HeadgateError('usage', `there is no hook phase "${phase}"`)
    }
  } finally {
    guarded.close()
  }
}

/** Each update with the ref that it would really change: through namespaces and symbolic refs. */
async function withTargets(
  { repository }: GuardedRepository,
  updates: readonly RefUpdate[],
  namespace: string,
): Promise<(RefUpdate & { target: string })[]> {
  const prefix = namespace
    .split('/')
    .filter((part) => part !== '')
    .map((part) => `refs/namespaces/${part}/`)
    .join('')
  const guarded = readGuardedNames(repository.commonDirectory)
  const result: (RefUpdate & { target: string })[] = []
  for (const update of updates) {
    const name = prefix + update.ref
    // A guarded name stays what it is, also where somebody made it a symbolic ref: see viewServer.
    const settled = guarded.has(name) || isReserved(name)
    result.push({ ...update, target: settled ? name : await resolveAlias(repository, name) })
  }
  return result
}

/** The ref that a symbolic ref stands for, also where that does not exist yet. Most refs are none. */
async function resolveAlias(repository: GitRepository, ref: string): Promise<string> {
  if (!mayBeSymbolic(repository.commonDirectory, ref)) return ref
  const { stdout, exitCode } = await repository.run(['symbolic-ref', '-q', ref], { allowExit: [0, 1, 128] })
  return exitCode === 0 ? stdout.toString('utf8').trimEnd() : ref
}

function mayBeSymbolic(directory: string, ref: string): boolean {
  if (!ref.startsWith('refs/') || ref.includes('\0')) return false
  // With reftable there are no ref files to look at, so git is asked.
  if (lstatSync(join(directory, 'reftable'), { throwIfNoEntry: false }) !== undefined) return true
  try {
    const file = join(directory, ref)
    const status = lstatSync(file, { throwIfNoEntry: false })
    if (status === undefined || status.isDirectory()) return false
    return status.isSymbolicLink() || (status.isFile() && readFileSync(file, 'latin1').startsWith('ref:'))
  } catch {
    // A name that the file system won't have (too long, a file where a folder should be) is no symbolic ref either.
    return false
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(
      `headgate: a bug kept it from deciding; please report it:\n${String((error as Error)?.stack ?? error)}\n`,
    )
    process.exit(EXIT_CODES.bug)
  },
)
