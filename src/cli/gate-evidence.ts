import { hostname } from 'node:os'
import type { Oid } from '../core/oid.ts'
import type { Environment, Policy } from '../core/policy.ts'
import { statementPayload } from '../core/statement.ts'
import type { GateOutcome, GateRun } from '../gate/run-gates.ts'
import { VERSION } from './version.ts'

/** The evidence of a run: what passed and what did not, and nothing of any answer. */
export function evidencePayload(
  policy: Policy,
  environment: Environment,
  commit: Oid,
  run: GateRun,
  url: string | undefined,
): string {
  const names = (wanted: (gate: GateOutcome) => boolean) => run.gates.filter(wanted).map((gate) => gate.name)
  return statementPayload('evidence', policy.repository, commit, {
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
        reason,
      })),
      runner: `headgate ${VERSION} on ${hostname()}`.slice(0, 200),
    },
  })
}
