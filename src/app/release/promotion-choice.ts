/** Which commit is promoted where nobody names one, and what is not promoted unless it is named. */

import { HeadgateError } from '../../core/errors.ts'
import { explainRef } from '../../core/explain.ts'
import { type Oid, shortOid } from '../../core/oid.ts'
import { DESPITE_BAR } from '../../core/rules/barred.ts'
import { searchPromotable } from '../../guard/candidates.ts'
import { comingBack } from './judge-promotion.ts'
import type { ReleaseSession } from './release-session.ts'

/** The commit that is named, or the newest that can be promoted. Throws 'refused' where there is none. */
export async function chooseCommit(
  session: ReleaseSession,
  named: string | undefined,
  despite: readonly string[],
): Promise<Oid> {
  const { repository, view, policy } = session
  if (named !== undefined) return session.client.resolveCommit(named)
  const { promotable, closest } = await searchPromotable(repository, view, Date.now(), despite)
  if (promotable !== null) return promotable.oid
  const reasons =
    closest?.foresight == null
      ? []
      : [
          `the newest that staging has proved is ${shortOid(closest.oid)}, and`,
          ...(closest.foresight.answer === 'yes'
            ? comingBack(closest.oid, closest.foresight)
            : explainRef(closest.foresight.report)),
        ]
  throw new HeadgateError(
    'refused',
    [`no commit of ${policy.staging} can be promoted now`, ...reasons].join('\n'),
    { hint: 'headgate status lists them and what they lack; headgate check COMMIT says it rule by rule' },
  )
}

/** Push options that bring back what was rolled back from; `named`: ids, with commas between them. */
export function despiteOptions(named: string | undefined): string[] {
  return (named?.split(',') ?? []).map((commit) => {
    if (!/^[0-9a-f]{7,64}$/.test(commit))
      throw new HeadgateError('usage', '--despite-bar wants a commit id of at least 7 digits', {
        hint: 'headgate status and headgate check name the commits that are barred',
      })
    return `${DESPITE_BAR}${commit}`
  })
}
