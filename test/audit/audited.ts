/** An audit as `headgate verify` makes it in the clone, in the test's own process: what starts the program asks the rest. */
import { verify } from '../../src/app/audit/verify.ts'
import type { AuditReport } from '../../src/audit/report.ts'
import { EXIT_CODES } from '../../src/core/errors.ts'
import type { TestRepository } from '../make-repository.ts'

type Options = {
  readonly offline?: boolean
  /** Whether records that an earlier audit verified are verified again. */
  readonly fromStart?: boolean
}

export type Audited = {
  /** The exit code that the program would have. */
  readonly code: number
  /** The findings as `grade rule@record`. */
  readonly told: readonly string[]
  readonly report: AuditReport
}

export async function audited(repository: TestRepository, options: Options = {}): Promise<Audited> {
  const caller = { folder: repository.clone, environment: repository.env }
  const { offline = false, fromStart = false } = options
  const asked = { remote: 'origin', since: null, commit: undefined, anchors: null, served: false }
  const report = await verify(caller, { ...asked, offline, fromStart }, () => undefined)
  const told = report.findings.map(({ grade, rule, record }) => `${grade} ${rule}@${record}`)
  return { code: EXIT_CODES[report.outcome], told, report }
}
