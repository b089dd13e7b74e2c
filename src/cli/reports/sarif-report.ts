import type { AuditReport } from '../../audit/report.ts'

export function sarifReport(report: AuditReport): string {
  return JSON.stringify(report)
}
