/**
 * A run as JUnit XML, which every CI system shows: one suite, one case a gate, named as the gate, so that `evidence
 * add --junit` reads it back. An optional gate that failed is a skipped case: it has not passed, and fails no build.
 */
import type { Oid } from '../core/oid.ts'
import { escapeUnsafe } from '../core/printable.ts'
import type { GateOutcome, GateRun } from '../gate/run-gates.ts'
import { outcomeWord, whyWords } from './gate-words.ts'
import { escapeMarkup } from './reports/markup.ts'

export function junitText(run: GateRun, commit: Oid): string {
  const suite = `headgate.${run.environment}`
  const cases = run.gates.map((gate) => testCase(gate, suite))
  // What the run as a whole failed for is nobody's gate; without a case of its own it would be lost.
  const problem =
    run.problem === null
      ? []
      : [
          `    <testcase name="headgate: the run" classname="${suite}" time="0"><failure message="${xml(run.problem)}"/></testcase>`,
        ]
  const failures = run.gates.filter((gate) => outcomeWord(gate) === 'failed').length + problem.length
  const skipped = run.gates.filter((gate) => ['warned', 'skipped'].includes(outcomeWord(gate))).length
  const seconds = (Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<testsuites>',
    `  <testsuite name="${suite}" tests="${cases.length + problem.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${seconds}" timestamp="${run.startedAt}">`,
    '    <properties>',
    `      <property name="commit" value="${xml(commit)}"/>`,
    `      <property name="baseUrl" value="${xml(run.baseUrl)}"/>`,
    `      <property name="result" value="${run.result}"/>`,
    '    </properties>',
    ...cases,
    ...problem,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

function testCase(gate: GateOutcome, suite: string): string {
  const why = xml(whyWords(gate))
  const head = `    <testcase name="${xml(gate.name)}" classname="${suite}" time="${gate.durationMs / 1000}"`
  switch (outcomeWord(gate)) {
    case 'passed':
      return why === '' ? `${head}/>` : `${head}><system-out>${why}</system-out></testcase>`
    case 'failed':
      return `${head}><failure message="${why}"/></testcase>`
    case 'warned':
      return `${head}><skipped message="optional: ${why}"/></testcase>`
    case 'skipped':
      return `${head}><skipped message="${why}"/></testcase>`
  }
}

/** XML can't hold control characters, not even escaped. */
function xml(text: string): string {
  return escapeMarkup(escapeUnsafe(text))
}
