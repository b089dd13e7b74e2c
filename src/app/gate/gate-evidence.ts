import { hostname } from 'node:os'
import type { Oid } from '../../core/oid.ts'
import type { Environment, Policy } from '../../core/policy/policy.ts'
import { printable } from '../../core/printable.ts'
import { statementPayload } from '../../core/statement.ts'
import { VERSION } from '../../core/version.ts'
import type { GateOutcome, GateRun } from '../../gate/run-gates.ts'

/** In base64, with the largest signature, this is less than the 64 KiB that an envelope may have. */
const MAX_PAYLOAD_BYTES = 46_000
/** The longest reason that a gate has, and what is left of all of them where that is too much. */
const REASON_LENGTHS = [300, 120, 40, 0]

/**
 * The evidence of a run: what passed and what did not, and nothing of any answer. A failed run must get into the ledger
 * whatever it takes, for it voids older passes: where 64 gates fail with long reasons, these are cut.
 */
export function evidencePayload(
  policy: Policy,
  environment: Environment,
  commit: Oid,
  run: GateRun,
  url: string | undefined,
): string {
  let payload = ''
  for (const reasonLength of REASON_LENGTHS) {
    const predicate = predicateOf(environment, run, url, reasonLength)
    payload = statementPayload('evidence', policy.repository, commit, predicate)
    if (Buffer.byteLength(payload) <= MAX_PAYLOAD_BYTES) break
  }
  return payload
}

function predicateOf(
  environment: Environment,
  run: GateRun,
  url: string | undefined,
  reasonLength: number,
): Parameters<typeof statementPayload<'evidence'>>[3] {
  const names = (wanted: (gate: GateOutcome) => boolean) => run.gates.filter(wanted).map((gate) => gate.name)
  return {
    result: run.result,
    configuration: [
      {
        name: `.headgate/policy.yaml#environments.${environment.name}`,
        digest: { sha256: environment.configurationDigest },
      },
    ],
    passedTests: names((gate) => gate.outcome === 'passed'),
    warnedTests: names((gate) => gate.outcome !== 'passed' && gate.optional),
    failedTests: names((gate) => gate.outcome === 'failed' && !gate.optional),
    ...(url === undefined ? {} : { url }),
    headgate: {
      environment: environment.name,
      baseUrl: run.baseUrl,
      startedAt: run.startedAt,
      finishedAt: run.finishedAt,
      servedCommit: { ...run.servedCommit },
      gates: run.gates.map(({ name, outcome, status, statuses, attempts, durationMs, reason }) => ({
        name,
        outcome,
        status,
        // Most gates are tried once and are no burst: their records stay as short as they were.
        ...(statuses === null ? {} : { statuses }),
        ...(attempts <= 1 ? {} : { attempts }),
        durationMs: Math.round(durationMs),
        reason: shorten(reason, reasonLength),
      })),
      runner: `headgate ${VERSION} on ${hostname()}`.slice(0, 200),
    },
  }
}

function shorten(reason: string | null, length: number): string | null {
  if (reason === null || reason.length <= length) return reason
  return length === 0 ? null : printable(reason, length)
}
