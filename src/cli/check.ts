/** What would the server say of a push? Asked before it is made. */

import { ClientRepository } from '../app/clone/client-repository.ts'
import { type PushSigning, pushSigning, signsInVain } from '../app/clone/push-signing.ts'
import { lookAt } from '../app/clone/remote-view.ts'
import { remoteWord, shownRemote } from '../app/clone/shown-remote.ts'
import { RELEASE_RULES, STAGING_RULES } from '../core/decide.ts'
import { EXIT_CODES, HeadgateError } from '../core/errors.ts'
import { explainRef, shortRef } from '../core/explain.ts'
import { type Oid, shortOid, zeroOidLike } from '../core/oid.ts'
import { printable, shellWord } from '../core/printable.ts'
import { fullRef, isReserved } from '../core/refs.ts'
import { namesake, namesakesOf } from '../core/rules/namesake.ts'
import { reserved } from '../core/rules/reserved.ts'
import { formerBranches } from '../core/state.ts'
import type { RuleName } from '../core/verdict.ts'
import { type Foresight, foreseeRelease, foreseeStaging, refsOf } from '../guard/foresee.ts'
import { colour, note, print, printJson } from './output.ts'
import { thisCaller } from './this-caller.ts'
import { wrapText } from './wrap-text.ts'

export type CheckOptions = {
  readonly commit: string
  readonly remote: string
  /** Branch or full ref; the release branch unless told. */
  readonly to: string | undefined
  readonly as: string | undefined
  readonly json: boolean
}

export async function check(options: CheckOptions): Promise<void> {
  const client = new ClientRepository(thisCaller())
  const repository = await client.open()
  try {
    const look = await lookAt(client, repository, options.remote)
    const shown = shownRemote(options.remote)
    if (look.kind === 'open') {
      throw new HeadgateError('configuration', `the remote "${shown}" is not guarded by headgate`, {
        hint: 'name another with --remote, or ask the server admin: headgate server install, then headgate policy apply',
      })
    }
    const { view } = look
    const commit = await client.resolveCommit(options.commit)
    const { staging, release } = refsOf(view.inForce.policy)
    const ref = fullRef(options.to ?? release)
    const current = view.refs.get(ref) ?? zeroOidLike(commit)
    const signing = await pushSigning(client)
    const isUnsure =
      ref === release && view.inForce.policy.promotion.signedPush !== 'ignore' && signsInVain(signing)
    const question: Question = {
      options,
      commit,
      ref,
      current,
      record: view.snapshot.head.seq,
      vain: isUnsure ? signing.format : null,
    }
    const enforced = view.inForce.policy.enforcement === 'enforce'
    const branches = [staging, release, ...formerBranches(view.snapshot.state).map((former) => former.ref)]
    const branch = branches.find((one) => namesakesOf(one).includes(ref))
    if (branch !== undefined)
      return answer(question, foreseeNamesake(question, branch), ['namesake'], enforced)
    if (ref !== release && ref !== staging) return answerUnguarded(question)
    if (current === commit) return answer(question, null, [])
    const update = { from: current, to: commit, ref }
    const foresight =
      ref === release
        ? await foreseeRelease(repository, view, update, {
            now: Date.now(),
            toleranceMs: 0,
            pusher: options.as,
          })
        : await foreseeStaging(repository, view, update)
    // Where no note is wanted nobody need read of it.
    const isAsked = (rule: RuleName) => rule !== 'note' || view.inForce.policy.promotion.notes === 'required'
    answer(question, foresight, ref === release ? RELEASE_RULES.filter(isAsked) : STAGING_RULES, enforced)
  } finally {
    repository.close()
  }
}

type Question = {
  readonly options: CheckOptions
  readonly commit: Oid
  readonly ref: string
  readonly current: Oid
  /** What git would sign the push with, where that makes the server refuse it; else null. */
  readonly vain: PushSigning['format'] | null
  /** The last record of the ledger that was looked at. */
  readonly record: number
}

function answer(
  question: Question,
  foresight: Foresight | null,
  rules: readonly RuleName[],
  enforced = true,
): void {
  const { options, commit, ref, current, record } = question
  const verdict = foresight?.answer ?? 'yes'
  process.exitCode =
    verdict === 'unclear'
      ? EXIT_CODES.unavailable
      : verdict === 'no' && enforced
        ? EXIT_CODES.refused
        : EXIT_CODES.ok
  if (options.json) {
    answerJson(question, foresight, rules, enforced)
    return
  }
  const where = `${shortRef(ref)} of ${shownRemote(options.remote)}`
  if (foresight === null) {
    print(`${where} is at ${shortOid(commit)} already: there is nothing to push`)
    return
  }
  const says = { yes: 'takes', no: enforced ? 'refuses' : 'only reports', unclear: 'may take or refuse' }[
    verdict
  ]
  print(`the server ${says} ${shortOid(commit)} on ${where}, as of record ${record}:`)
  for (const rule of rules) {
    print(`  ${WORDS[verdictOf(rule, foresight)]()} ${rule}`)
  }
  print('')
  for (const remark of foresight.remarks) for (const line of wrapText(`remark: ${remark}`)) print(line)
  for (const line of explainRef(foresight.report)) print(line)
  if (foresight.note) print('the push needs a note: the policy says promotion.notes: required')
  if (verdict === 'unclear') note(`headgate: could not tell: ${foresight.reason}; ask again in a moment`)
  if (verdict === 'no' && !enforced) note('remark: enforcement: evaluate judges every push and refuses none')
  if (verdict !== 'yes') return
  const from = foresight.pushers.map((name) => printable(name, 80)).join(' or ')
  const force =
    foresight.report.what === 'a rollback'
      ? `${shellWord(`--force-with-lease=${shortRef(ref)}:${shortOid(current)}`)} `
      : ''
  const noted = foresight.note ? "-o note='TEXT' " : ''
  // Who pushes by hand signs as git is configured.
  const sign = foresight.signed ? '--signed ' : question.vain === null ? '' : '--no-signed '
  const ssh =
    foresight.signed && question.vain !== null ? '-c gpg.format=ssh -c user.signingKey=FILE.pub ' : ''
  if (question.vain !== null)
    note(
      `remark: git here signs pushes with ${question.vain} (push.gpgSign), and the server verifies SSH signatures alone`,
    )
  const push = `git ${ssh}push ${sign}${noted}${force}${remoteWord(options.remote)} ${shellWord(`${shortOid(commit)}:${ref}`)}`
  print(`  ${from === '' ? '' : `${from} may run: `}${push}`)
}

function answerJson(
  { options, commit, ref, current, record }: Question,
  foresight: Foresight | null,
  rules: readonly RuleName[],
  enforced: boolean,
): void {
  const objections = foresight?.report.objections ?? []
  const waived = foresight?.waived ?? []
  printJson({
    remote: options.remote,
    ref,
    from: current,
    to: commit,
    answer: foresight?.answer ?? 'yes',
    enforced,
    reason: foresight?.reason ?? '',
    pushers: foresight?.pushers ?? [],
    signed: foresight?.signed ?? false,
    note: foresight?.note ?? false,
    remarks: foresight?.remarks ?? [],
    rules: rules.map((rule) => ({
      rule,
      verdict: verdictOf(rule, foresight),
      found: [...objections, ...waived].filter((one) => one.rule === rule).flatMap(({ found }) => found),
      fix: objections.filter((one) => one.rule === rule).flatMap(({ fix }) => fix),
    })),
    record,
  })
}

const WORDS = {
  passed: () => colour('green', 'passed '),
  refused: () => colour('red', 'REFUSED'),
  waived: () => colour('yellow', 'waived '),
  needed: () => colour('yellow', 'needed '),
}

function verdictOf(rule: RuleName, foresight: Foresight | null): keyof typeof WORDS {
  if (foresight === null) return 'passed'
  if (foresight.report.objections.some((one) => one.rule === rule)) return 'refused'
  if (foresight.waived.some((one) => one.rule === rule)) return 'waived'
  return rule === 'note' && foresight.note ? 'needed' : 'passed'
}

/** The server makes and moves no ref of such a name; whether it is there already does not matter. */
function foreseeNamesake({ ref, commit, current }: Question, branch: string): Foresight {
  const objections = [namesake(ref, branch, { to: commit, objectType: 'commit' })]
  const report = { ref, from: current, to: commit, what: '', objections }
  const nothing = {
    reason: '',
    note: false,
    pushers: [],
    signed: false,
    waived: [],
    broughtBack: [],
    remarks: [],
  }
  return { report, answer: 'no', ...nothing }
}

function answerUnguarded(question: Question): void {
  const { options, ref } = question
  if (isReserved(ref)) {
    const { found, fix } = reserved(ref)
    throw new HeadgateError('refused', found.join(' '), { hint: fix.join(' ') })
  }
  if (options.json) answer(question, null, [])
  else
    print(
      `nobody guards ${shortRef(ref)} on ${shownRemote(options.remote)}: headgate lets any push of it pass`,
    )
}
