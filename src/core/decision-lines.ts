/** A decision in lines for those who look for a mistake: what was judged, and each rule that had something to say. */
import { type RefReport, shortRef, span } from './explain.ts'
import type { Pusher } from './facts.ts'
import { type Oid, shortOid } from './oid.ts'
import type { MoveVerdict, Objection } from './verdict.ts'

/** `verdict` is there for moves of the release branch alone. */
export function decisionLines(report: RefReport, verdict?: MoveVerdict): string[] {
  const { ref, from, to, what, objections } = report
  const { waived = [], inputs = [] } = verdict ?? {}
  const move = `${shortRef(ref)}: ${span(from, to)}${what === '' ? '' : `, ${what}`}`
  return [
    `${move}: ${outcome(objections, waived)}`,
    ...objections.map((objection) => saying(objection, 'objects')),
    ...waived.map((objection) => saying(objection, 'is waived')),
    ...inputs.map((digest) => `it rests on the statement ${digest}`),
  ]
}

/** What a decision was made on: the last record, the policy in force there, and where the branches were. */
export function viewLine(
  head: { readonly seq: number; readonly hash: string },
  inForce: { readonly version: number; readonly policy: { readonly enforcement: string } } | null,
  refs: ReadonlyMap<string, Oid>,
): string {
  const policy = inForce === null ? 'no policy' : `policy ${inForce.version}, ${inForce.policy.enforcement}`
  const branches = [...refs].map(([ref, oid]) => `${shortRef(ref)} at ${shortOid(oid)}`)
  return [`ledger record ${head.seq} (${head.hash.slice(0, 12)})`, policy, ...branches].join(', ')
}

export function pusherLine(pusher: Pusher): string {
  if (pusher.identified) return `the pusher is ${pusher.principal}, by ${pusher.source}`
  return `nobody knows who pushes: ${pusher.reason}`
}

function outcome(objections: readonly Objection[], waived: readonly Objection[]): string {
  if (objections.length > 0) return 'no'
  return waived.length > 0 ? 'yes, by an override' : 'yes, all rules agree'
}

function saying({ rule, found }: Objection, how: string): string {
  return `rule ${rule} ${how}: ${found.map((line) => line.trim()).join(' ')}`
}
