import type { AuditReport } from '../../audit/report.ts'

export function htmlReport(report: AuditReport): string {
  return JSON.stringify(report)
}
