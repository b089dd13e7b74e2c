/** What `headgate verify` prints. */
import type { VerifyEvent } from '../../app/audit/verify.ts'
import type { ReceiptVerdict } from '../../audit/receipt.ts'
import type { AuditReport } from '../../audit/report.ts'
import { jsonText, printable } from '../../core/printable.ts'
import { note, print, printJson } from '../output.ts'
import { textReport } from '../reports/text-report.ts'

export type VerifyFormat = 'text' | 'json' | 'sarif' | 'html' | 'junit'

export function tellVerify({ file, reason }: VerifyEvent): void {
  note(
    `headgate: this audit cannot be remembered in ${printable(file, 400)}: ${printable(reason, 400)}\n` +
      '  what it found stands; the next one begins where this one began',
  )
}

export async function showReport(report: AuditReport, format: VerifyFormat): Promise<void> {
  print(await render(report, format))
}

async function render(report: AuditReport, format: VerifyFormat): Promise<string> {
  switch (format) {
    case 'text':
      return textReport(report)
    case 'json':
      return jsonText(report, 2)
    case 'sarif':
      return (await import('../reports/sarif-report.ts')).sarifReport(report)
    case 'junit':
      return (await import('../reports/junit-report.ts')).junitReport(report)
    case 'html':
      return (await import('../reports/html-report.ts')).htmlReport(report)
  }
}

/** What no receipt can show, for readers who take it for an audit. */
const NOT_IN_A_RECEIPT = [
  'copy: whether a ledger that you know holds this ledger commit',
  'chain, tree, state, clock: the records between these',
  'policy, statement, outcome, approval: what the other records say',
  'replay: the move was not decided again',
  'release-ref, staging-ref, release-log: the branches',
] as const

const OUTCOMES = {
  landed: 'it landed',
  'not-landed': 'it did not land',
  'not-shown': 'its outcome is not in the receipt',
} as const

export function showReceipt(verdict: ReceiptVerdict, format: 'text' | 'json'): void {
  if (format === 'json') {
    printJson({ ...verdict, unchecked: NOT_IN_A_RECEIPT })
    return
  }
  const { kind, ref, from, to, by, at, outcome, passed, signedBy, repository, head, ledgerCommit } = verdict
  print(
    [
      `${printable(repository)}: ${kind} of ${printable(ref)} from ${from} to ${to}`,
      `  authorized at ${at}, pushed by ${printable(by, 80)}; ${OUTCOMES[outcome]}`,
      ...(passed ? [] : ['  only evaluated: the rules would have refused it']),
      ...signedBy.map((line) => `  rests on ${printable(line, 300)}`),
      `  in ledger commit ${ledgerCommit}, up to record ${head.seq} (${head.hash})`,
      ...NOT_IN_A_RECEIPT.map((what) => `  not checked: ${what}`),
      'headgate verify: VERIFIED: the receipt holds; it was not decided again',
    ].join('\n'),
  )
}
