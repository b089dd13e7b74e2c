import type { AuditReport } from '../../audit/report.ts'

export function junitReport(report: AuditReport): string {
  return JSON.stringify(report)
}
