/** What the server would say of a push, rule by rule, and the push that it would take. */

import type { Check, CheckedRule } from '../../app/check.ts'
import { remoteOption, remoteWord, shownRemote } from '../../app/clone/shown-remote.ts'
import { explainRef, shortRef } from '../../core/explain.ts'
import { shortOid } from '../../core/oid.ts'
import { printable, shellWord } from '../../core/printable.ts'
import { colour, note, print, printJson } from '../output.ts'
import { wrapText } from '../wrap-text.ts'

type Judged = Extract<Check, { kind: 'judged' }>

export function showCheck(check: Check, { json }: { readonly json: boolean }): void {
  if (json) printJson(checkJson(check))
  else printCheck(check)
}

function printCheck(check: Check): void {
  const { remote, ref, commit } = check.push
  switch (check.kind) {
    case 'unguarded':
      print(`nobody guards ${shortRef(ref)} on ${shownRemote(remote)}: headgate lets any push of it pass`)
      break
    case 'up-to-date':
      print(`${place(check)} is at ${shortOid(commit)} already: there is nothing to push`)
      break
    case 'judged':
      printVerdict(check)
      if (check.foresight.answer === 'yes') printPush(check)
  }
}

function printVerdict(check: Judged): void {
  const { push, foresight, rules, enforced } = check
  const { answer } = foresight
  const says = { yes: 'takes', no: enforced ? 'refuses' : 'only reports', unclear: 'may take or refuse' }
  print(
    `the ${check.relayed ? 'relay' : 'server'} ${says[answer]} ${shortOid(push.commit)} on ${place(check)}, as of record ${push.record}:`,
  )
  for (const { rule, verdict } of rules) print(`  ${WORDS[verdict]()} ${rule}`)
  print('')
  for (const remark of foresight.remarks) for (const line of wrapText(`remark: ${remark}`)) print(line)
  for (const line of explainRef(foresight.report)) print(line)
  if (foresight.note) print('the push needs a note: the policy says promotion.notes: required')
  if (answer === 'unclear') note(`headgate: could not tell: ${foresight.reason}; ask again in a moment`)
  if (answer === 'no' && !enforced) note('remark: enforcement: evaluate judges every push and refuses none')
}

/** The command that would land it, and who may run it. */
function printPush({
  push: { remote, ref, commit, current },
  foresight,
  signsInVain,
  relayed,
}: Judged): void {
  if (relayed) {
    const isBack = foresight.report.what === 'a rollback'
    const words = isBack ? ' --trigger TEXT --symptoms TEXT' : foresight.note ? " --note 'TEXT'" : ''
    print(
      `  an operator runs: headgate ${isBack ? 'rollback' : 'promote'} ${shortOid(commit)}${words} --key FILE${remoteOption(remote)}`,
    )
    return
  }
  const from = foresight.pushers.map((name) => printable(name, 80)).join(' or ')
  const force =
    foresight.report.what === 'a rollback'
      ? `${shellWord(`--force-with-lease=${shortRef(ref)}:${shortOid(current)}`)} `
      : ''
  const noted = foresight.note ? "-o note='TEXT' " : ''
  // Who pushes by hand signs as git is configured.
  const sign = foresight.signed ? '--signed ' : signsInVain === null ? '' : '--no-signed '
  const ssh = foresight.signed && signsInVain !== null ? '-c gpg.format=ssh -c user.signingKey=FILE.pub ' : ''
  if (signsInVain !== null)
    note(
      `remark: git here signs pushes with ${signsInVain} (push.gpgSign), and the server verifies SSH signatures alone`,
    )
  const push = `git ${ssh}push ${sign}${noted}${force}${remoteWord(remote)} ${shellWord(`${shortOid(commit)}:${ref}`)}`
  print(`  ${from === '' ? '' : `${from} may run: `}${push}`)
}

function place({ push: { ref, remote } }: Check): string {
  return `${shortRef(ref)} of ${shownRemote(remote)}`
}

const WORDS: { readonly [Verdict in CheckedRule['verdict']]: () => string } = {
  passed: () => colour('green', 'passed '),
  refused: () => colour('red', 'REFUSED'),
  waived: () => colour('yellow', 'waived '),
  needed: () => colour('yellow', 'needed '),
}

function checkJson(check: Check): object {
  const { remote, ref, commit, current, record } = check.push
  const judged = check.kind === 'judged' ? check : null
  const foresight = judged?.foresight
  return {
    remote,
    ref,
    from: current,
    to: commit,
    answer: foresight?.answer ?? 'yes',
    enforced: judged?.enforced ?? true,
    reason: foresight?.reason ?? '',
    pushers: foresight?.pushers ?? [],
    signed: foresight?.signed ?? false,
    note: foresight?.note ?? false,
    remarks: foresight?.remarks ?? [],
    rules: judged?.rules ?? [],
    record,
  }
}
