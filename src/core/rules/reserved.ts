import { printable } from '../printable.ts'
import type { Objection } from '../verdict.ts'

/** headgate's own refs, of which only those of the inbox are anybody's to write. */
export function reserved(ref: string): Objection {
  return {
    rule: 'reserved',
    found: [`${printable(ref, 120)} belongs to headgate: only the server writes there`],
    fix: ['evidence and approvals go to the inbox; headgate gate, evidence and approve push them there'],
  }
}
