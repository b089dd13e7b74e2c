/** What is said while production is waited for and tested. */

import { servingWords } from '../../app/release/production.ts'
import type { TestEvent } from '../../app/release/test-production.ts'
import { shortOid } from '../../core/oid.ts'
import { formatDuration } from '../../core/policy/duration.ts'
import { printable } from '../../core/printable.ts'
import type { GateOutcome, GateRun } from '../../gate/run-gates.ts'
import { colour, plural } from '../output.ts'
import { wrapText } from '../wrap-text.ts'
import { commandLine } from './gate-progress.ts'
import { submitWords } from './submit.ts'

export function productionWords(event: TestEvent): string[] {
  switch (event.kind) {
    case 'no-production':
      return ['the policy knows no production environment: nothing to wait for, and no smoke test']
    case 'smoke-recorded': {
      const { record, by } = event.run
      return [`the production smoke passed already (record ${record}, by ${printable(by, 60)})`]
    }
    case 'production-silent':
      return [
        'production does not report its commit: run the smoke test once it is deployed:',
        `  headgate gate --mode prod --commit ${shortOid(event.commit)} --record --key FILE`,
      ]
    case 'branch-moved-on': {
      const { branch, commit, release } = event
      const now = release === null ? 'gone' : `at ${shortOid(release)}`
      const text = `${branch} has moved on from ${shortOid(commit)}, it is ${now}: its smoke test is not run`
      return [colour('yellow', text, process.stderr)]
    }
    case 'production-awaited': {
      const { commit, serving, waitedMs } = event
      const since = waitedMs === null ? '' : `, ${formatDuration(waitedMs)} so far`
      return wrapText(
        `waiting for production to serve ${shortOid(commit)}; now: ${servingWords(serving)}${since}`,
      )
    }
    case 'production-serves':
      return [`production serves ${shortOid(event.commit)}`]
    case 'smoke-began':
      return [`production smoke at ${printable(event.url)}, commit ${shortOid(event.commit)}`]
    case 'gate-printed':
      return [commandLine(event.gate, event.line)]
    case 'gate-ended':
      return [gateWords(event.gate)]
    case 'smoke-problem':
      return [`  ${printable(event.problem, 300)}`]
    case 'smoke-ended':
      return [runWords(event.run, event.recorded)]
    case 'recorded-unsaid':
    case 'waiting-for-relay':
      return [submitWords(event)]
  }
}

function gateWords({ name, outcome, reason }: GateOutcome): string {
  const why = reason === null ? '' : `: ${printable(reason, 200)}`
  return `  ${outcome.padEnd(7)} ${printable(name, 60)}${why}`
}

function runWords({ result, gates }: GateRun, recorded: boolean): string {
  const passed = gates.filter(({ outcome }) => outcome === 'passed').length
  const words = `${result}: ${passed} of ${plural(gates.length, 'gate')} passed`
  return `  ${words}${recorded ? ', recorded' : '; not recorded'}`
}
