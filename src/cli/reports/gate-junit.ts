/**
 * A run as JUnit XML: one suite, one case a gate, named as the gate, so that `evidence add --junit` reads it back. An
 * optional gate that failed is a skipped case: it has not passed, and fails no build.
 */
import type { Oid } from '../../core/oid.ts'
import type { GateOutcome, GateRun } from '../../gate/run-gates.ts'
import { outcomeWord, whyWords } from './gate-words.ts'
import { type JunitCase, junitXml } from './junit-xml.ts'

export function junitText(run: GateRun, commit: Oid): string {
  const className = `headgate.${run.environment}`
  const { baseUrl, result, problem, startedAt } = run
  // What the run as a whole failed for is nobody's gate; without a case of its own it would be lost.
  const ofRun: JunitCase[] =
    problem === null
      ? []
      : [{ name: 'headgate: the run', className, seconds: 0, failure: { message: problem } }]
  return `${junitXml({
    name: className,
    timestamp: startedAt,
    seconds: (Date.parse(run.finishedAt) - Date.parse(startedAt)) / 1000,
    properties: { commit, baseUrl, result },
    cases: [...run.gates.map((gate) => testCase(gate, className)), ...ofRun],
  })}\n`
}

function testCase(gate: GateOutcome, className: string): JunitCase {
  const why = whyWords(gate)
  const head = { name: gate.name, className, seconds: gate.durationMs / 1000 }
  switch (outcomeWord(gate)) {
    case 'passed':
      return why === '' ? head : { ...head, output: why }
    case 'failed':
      return { ...head, failure: { message: why } }
    case 'warned':
      return { ...head, skipped: `optional: ${why}` }
    case 'skipped':
      return { ...head, skipped: why }
  }
}
