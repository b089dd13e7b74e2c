/** What the tour expects of pushes and gate runs, checked after each: exit status, the rule named, the ref moved or not. */
import type { Actor, Stage } from './stage.ts'

/** A push that must be refused by a rule, with the release branch where it was. `only` means by no other rule. */
export async function refused(
  stage: Stage,
  actor: Actor,
  words: readonly string[],
  { rule, only = false, says }: { rule: string; only?: boolean; says?: RegExp },
): Promise<void> {
  const before = await stage.commitAt('refs/heads/release')
  const { code, output } = await stage.type(actor, words)
  const rules = [...output.matchAll(/^remote: +\[([a-z-]+)\] *$/gm)].map(([, name = '']) => name)
  stage.expect(code !== 0, `the push was to be refused by the rule ${rule}, and git says that it succeeded`)
  stage.expect(
    rules.includes(rule),
    `the push was to be refused by the rule ${rule}, and was refused by: ${rules.join(', ') || 'no rule at all'}`,
  )
  stage.expect(
    !only || rules.length === 1,
    `only the rule ${rule} was to object, and there were: ${rules.join(', ')}`,
  )
  stage.expect(says === undefined || says.test(unwrapped(output)), `the refusal was to say ${says}`)
  const after = await stage.commitAt('refs/heads/release')
  stage.expect(after === before, `release was to stay at ${before} and is at ${after ?? 'no commit'}`)
  stage.tally.refused++
  stage.narrator.asTold(`refused by ${rules.join(', ')}; release stays at ${after}`)
}

/** A push of the release branch that must land. */
export async function lands(
  stage: Stage,
  actor: Actor,
  words: readonly string[],
  { kind, commit }: { kind: 'promotion' | 'rollback'; commit: string },
): Promise<void> {
  const { code, output } = await stage.type(actor, words)
  stage.expect(code === 0, `the ${kind} was to land, and git push ended with ${code}`)
  const after = await stage.commitAt('refs/heads/release')
  stage.expect(after === commit, `release was to move to ${commit} and is at ${after ?? 'no commit'}`)
  stage.expect(
    new RegExp(`^remote: headgate: release is now ${commit}, ${kind} \\d+, ledger record`, 'm').test(output),
    `the server was to say that the ${kind} landed`,
  )
  stage.tally.landed++
  stage.narrator.asTold(`landed; release is at ${after}`)
}

/** A gate run that must be recorded with this result, for these gates. */
export async function gated(
  stage: Stage,
  mode: 'staging' | 'prod',
  commit: string,
  { passes, says }: { passes: boolean; says?: RegExp },
): Promise<void> {
  const words = ['headgate', 'gate', '--mode', mode, '--commit', commit, '--record', '--key', '../keys/ci']
  const { code, output } = await stage.type('ci', words)
  const [expected, exitCode] = passes ? ['PASSED', 0] : ['FAILED', 77]
  stage.expect(code === exitCode, `headgate gate was to end with ${exitCode} and ended with ${code}`)
  stage.expect(output.includes(`${expected}: `), `the gates were to say ${expected}`)
  stage.expect(says === undefined || says.test(output), `the gates were to say ${says}`)
  stage.expect(/^recorded as evidence/m.test(output), 'the result was to be recorded')
  stage.narrator.asTold(
    passes ? `all gates passed; signed by ci and recorded` : `failed with exit code 77; recorded, too`,
  )
}

/** A run of staging's gates that finds another commit there: nothing is learnt, and nothing recorded. */
export async function notRun(stage: Stage, commit: string): Promise<void> {
  const words = [
    'headgate',
    'gate',
    '--mode',
    'staging',
    '--commit',
    commit,
    '--record',
    '--key',
    '../keys/ci',
  ]
  const { code, output } = await stage.type('ci', words)
  stage.expect(code === 77, `headgate gate was to end with 77 and ended with ${code}`)
  stage.expect(/staging serves .*, not /.test(output), 'the gates were to say what staging serves')
  stage.expect(!/^recorded as evidence/m.test(output), 'nothing was to be recorded')
  stage.narrator.asTold('no gate was run, exit code 77; nothing is recorded, so that no older pass is void')
}

/** A push of the staging branch: guarded, yet nothing must be noticed of it. */
export async function pushesMain(stage: Stage, subject: string): Promise<string> {
  await stage.must('dave', ['git', 'commit', '-qam', subject])
  const { output, seconds } = await stage.must('dave', ['git', 'push', 'origin', 'main'])
  const commit = await stage.quietly('dave', ['git', 'rev-parse', '--short=7', 'HEAD'])
  stage.expect(!/headgate/.test(output), 'headgate was to say nothing about a plain push to main')
  const main = await stage.commitAt('refs/heads/main')
  stage.expect(main === commit, `main was to be at ${commit} and is at ${main}`)
  stage.narrator.asTold(
    `main is at ${commit}, after ${seconds.toFixed(1)} s and without a word from headgate`,
  )
  return commit
}

/** What the server said as one line, so that a phrase is found wherever it was wrapped. */
function unwrapped(output: string): string {
  return output.replace(/\s*\nremote: */g, ' ')
}
