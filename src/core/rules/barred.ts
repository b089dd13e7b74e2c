import type { ReleaseCase, ReleaseRule } from '../decide.ts'
import { startedAt } from '../evidence.ts'
import type { BroughtBack, ReleaseMove } from '../facts.ts'
import { type Oid, shortOid } from '../oid.ts'
import { formatDuration } from '../policy/duration.ts'
import { printable } from '../printable.ts'
import type { LedgerState } from '../state.ts'

/** What the push option is called that lets what contains a barred commit go. */
export const DESPITE_BAR = 'despite-bar='

/** A commit that production was rolled back from does not return on evidence that did not see the trouble. */
export const barredRule: ReleaseRule = (input) => {
  const { facts, policy, history, now, kind } = input
  const { bars } = history.state
  const own = bars.find(({ commit }) => commit === facts.to)
  const commit = shortOid(facts.to)
  if (own !== undefined && !provedSince(input, own.at)) {
    const ago = formatDuration(Math.max(0, now - Date.parse(own.at)))
    return [
      {
        rule: 'barred',
        found: [
          `${commit} was rolled back from ${ago} ago (record ${own.seq}), and no staging run since then proves it`,
        ],
        fix: [
          'promote a fix instead; or, if the commit was not the cause, prove it on staging again:',
          `  headgate gate --mode staging --commit ${commit} --record --key FILE`,
        ],
      },
    ]
  }
  const at = (barred: Oid) => bars.find((bar) => bar.commit === barred)?.at ?? ''
  // CI proves every commit, that of the log entry about the rollback too: only who names a barred commit has it proved anew.
  const isNamed = own !== undefined || kind === 'rollback'
  const clothes = facts.broughtBack.filter(
    (back) => back.how === 'same-code' && !(isNamed && provedSince(input, at(back.commit))),
  )
  if (clothes.length > 0) {
    const barred = shortOid(clothes.at(-1)?.commit ?? '')
    return [
      {
        rule: 'barred',
        found: clothes.map((back) => `${commit} ${describeBar(back, history.state, now)}`),
        fix: [
          `promote a fix instead; or, if ${barred} was not the cause, prove that on staging again and promote it:`,
          `  headgate gate --mode staging --commit ${barred} --record --key FILE`,
        ],
      },
    ]
  }
  if (policy.rollback.bar === 'commit' || kind === 'rollback') return []
  const contained = facts.broughtBack.filter(({ how }) => how === 'contained')
  const left = contained.filter((back) => !isDespite(facts.pushOptions, back.commit))
  if (left.length === 0) return []
  return [
    {
      rule: 'barred',
      found: [
        ...left.map((back) => `${commit} ${describeBar(back, history.state, now)}`),
        'the policy says rollback.bar: descendants',
      ],
      fix: [
        'if it mends what was wrong, name what it contains:',
        `  headgate promote ${commit} --despite-bar ${left.map((back) => shortOid(back.commit)).join(',')}${policy.promotion.notes === 'required' ? " --note 'TEXT'" : ''}`,
      ],
    },
  ]
}

function provedSince({ kind, evidence }: ReleaseCase, at: string): boolean {
  const runs = kind === 'rollback' ? evidence.passing : evidence.proving
  return runs.some((run) => startedAt(run) > Date.parse(at))
}

/** `contains 3f2c1ab, rolled back 12 min ago: 500 on /pay`. */
export function describeBar({ commit, how, why }: BroughtBack, { bars }: LedgerState, now: number): string {
  const bar = bars.find((one) => one.commit === commit)
  const ago = bar === undefined ? '' : ` ${formatDuration(Math.max(0, now - Date.parse(bar.at)))} ago`
  const what =
    how === 'contained'
      ? `contains ${shortOid(commit)}`
      : `is ${shortOid(commit)} but for the release log at most, and barred with it`
  return `${what}, rolled back${ago}${why === undefined ? '' : `: ${printable(why, 200)}`}`
}

/** Whether a push names a barred commit by `despite-bar=`, with at least seven digits of it. */
export function isDespite(pushOptions: readonly string[], commit: Oid): boolean {
  return pushOptions.some((option) => {
    const named = option.startsWith(DESPITE_BAR) ? option.slice(DESPITE_BAR.length) : ''
    return named.length >= 7 && commit.startsWith(named)
  })
}

/** What is worth knowing of a move that the rule lets pass. */
export function barRemarks({ to, broughtBack }: ReleaseMove, state: LedgerState, now: number): string[] {
  return broughtBack
    .filter(({ how }) => how === 'contained')
    .map((back) => `${shortOid(to)} ${describeBar(back, state, now)}`)
}
