/** Results that another tool produced, as the caller names them: by name, or in reports. */

import { HeadgateError } from '../../core/errors.ts'
import type { Environment } from '../../core/policy/policy.ts'
import { printable } from '../../core/printable.ts'

export type ReportedResult = { readonly name: string; readonly outcome: 'passed' | 'failed' | 'skipped' }

export type Reported = {
  /** Names of gates. */
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  /** JUnit XML files. */
  readonly junit: readonly string[]
}

/** `remarks` are what was left out of the reports, for people. Relative names are of files in `folder`. */
export async function collectResults(
  { passed, failed, junit }: Reported,
  folder: string,
): Promise<{ readonly results: readonly ReportedResult[]; readonly remarks: readonly string[] }> {
  const reports =
    junit.length === 0
      ? { cases: [], remarks: [] }
      : (await import('./junit.ts')).readJunitFiles(junit, folder)
  const results: ReportedResult[] = [
    ...passed.map((name) => ({ name, outcome: 'passed' as const })),
    ...failed.map((name) => ({ name, outcome: 'failed' as const })),
    ...reports.cases,
  ]
  if (results.length === 0) {
    throw new HeadgateError('usage', 'there is no result to record', {
      hint: 'name gates with --passed NAME..., or files with --junit FILE...',
    })
  }
  const seen = new Set<string>()
  const twice = results.find(({ name }) => seen.size === seen.add(name).size)
  if (twice !== undefined) {
    throw new HeadgateError('usage', `gate "${printable(twice.name, 60)}" is reported twice`, {
      hint: 'a gate has one result: name it in one of --passed, --failed and --junit',
    })
  }
  return { results, remarks: reports.remarks }
}

/** As many as fit into an envelope with names of the usual length. */
const MAX_RESULTS = 200
/** The longest name that a statement may have. */
const MAX_NAME_LENGTH = 200

/** The report of a whole test suite is longer than a statement may be: of that, the gates are kept, and what failed. */
export function withinLimits(
  reported: readonly ReportedResult[],
  { gates }: Environment,
): { readonly results: readonly ReportedResult[]; readonly omitted: number } {
  if (reported.length <= MAX_RESULTS && reported.every(({ name }) => name.length <= MAX_NAME_LENGTH)) {
    return { results: reported, omitted: 0 }
  }
  const isGate = ({ name }: ReportedResult) => gates.some((gate) => gate.name === name)
  const others = reported.filter((result) => !isGate(result))
  // Their names are cut, and two of them may be one afterwards; one is enough to fail the run.
  const cut = new Set<string>()
  for (const { name, outcome } of others)
    if (outcome === 'failed' && cut.size < MAX_RESULTS / 2) cut.add(printable(name, MAX_NAME_LENGTH))
  const failed = [...cut].map((name) => ({ name, outcome: 'failed' as const }))
  return {
    results: [...reported.filter(isGate), ...failed],
    omitted: others.length - failed.length,
  }
}
