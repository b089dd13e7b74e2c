/** What a relay did not take, said in refs of the host: who asked fetches it, and after a day it is gone. */

import { answerPayload } from '../core/answer.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { type Oid, zeroOidLike } from '../core/oid.ts'
import { ANSWERS } from '../core/refs.ts'
import type { GitRepository } from '../git/repository.ts'
import type { SealKey } from '../guard/seal-key.ts'
import type { RefChange } from './host.ts'

const HOUR_MS = 60 * 60_000
const KEPT_HOURS = 24

export type Told = {
  readonly name: string
  readonly rules: readonly string[]
  readonly lines: readonly string[]
}

/** New refs, each with a blob of the cache that has the answer. `now` in ms since the epoch. */
export async function answerChanges(
  cache: GitRepository,
  {
    sealKey,
    repository,
    now,
    listed,
  }: {
    readonly sealKey: SealKey
    readonly repository: string
    readonly now: number
    /** The host's refs: an answer that is there is replaced. */
    readonly listed: ReadonlyMap<string, Oid>
  },
  refused: readonly Told[],
): Promise<RefChange[]> {
  const changes: RefChange[] = []
  for (const { name, rules, lines } of refused) {
    // It stands in a name of a ref, which only a digest can be sure to be.
    if (!/^[0-9a-f]{64}$/.test(name)) continue
    const at = new Date(now).toISOString()
    const payload = answerPayload({ repository, about: name, at, verdict: 'refused', rules, lines })
    const to = await cache.writeBlob(canonicalJson(sealKey.sign(payload)))
    const ref = `${ANSWERS}${Math.floor(now / HOUR_MS)}/${name}`
    changes.push({ ref, from: listed.get(ref) ?? zeroOidLike(to), to })
  }
  return changes
}

/** Answers of more than a day ago, which go, and refs that no relay has made there, or not yet. */
export function outdatedAnswers(listed: ReadonlyMap<string, Oid>, now: number): RefChange[] {
  const hour = Math.floor(now / HOUR_MS)
  const isKept = (ref: string) => hourOf(ref) >= hour - KEPT_HOURS && hourOf(ref) <= hour + 1
  return [...listed]
    .filter(([ref]) => ref.startsWith(ANSWERS) && !isKept(ref))
    .slice(0, 500)
    .map(([ref, oid]) => ({ ref, from: oid, to: zeroOidLike(oid) }))
}

/** NaN for a ref that no relay made. */
function hourOf(ref: string): number {
  const [, hour] = /^(\d{1,12})\/[0-9a-f]{64}$/.exec(ref.slice(ANSWERS.length)) ?? []
  return hour === undefined ? Number.NaN : Number(hour)
}
