import { isZeroOid, type Oid, shortOid } from '../oid.ts'

/** Between the server's offer and the push somebody was faster, or the pusher's claim is wrong. */
export function movedMeanwhile(
  branch: string,
  { from, claimedFrom }: { readonly from: Oid; readonly claimedFrom: Oid },
): string {
  const stands = isZeroOid(from) ? 'does not exist' : `stands at ${shortOid(from)}`
  const said = isZeroOid(claimedFrom) ? 'that it does not exist' : `that it is at ${shortOid(claimedFrom)}`
  return `${branch} moved meanwhile: it ${stands}, and this push believes ${said}`
}
