/** A run of gates: its progress, its results on the terminal and in the files that the caller names, and its record. */

import type { Caller } from '../../app/caller.ts'
import { shownRemote } from '../../app/clone/shown-remote.ts'
import type { GateTarget } from '../../app/gate/gate-target.ts'
import type { Proof, ProveEvent } from '../../app/gate/prove.ts'
import { promoteLine } from '../../app/release/promote-line.ts'
import { shortOid } from '../../core/oid.ts'
import { printable } from '../../core/printable.ts'
import type { GateRun } from '../../gate/run-gates.ts'
import type { Interruption } from '../interruption.ts'
import { writeNamedFile } from '../named-file.ts'
import { colour, note, print, printJson, table } from '../output.ts'
import { htmlText } from '../reports/gate-html.ts'
import { junitText } from '../reports/gate-junit.ts'
import { GATE_COLUMNS, gateRows, verdictLine } from '../reports/gate-words.ts'
import { annotate, isGithubActions, summarize } from '../reports/github-actions.ts'
import { type GateProgress, gateProgress } from './gate-progress.ts'
import { remarkOtherUrl } from './other-url.ts'
import { tellSubmit } from './submit.ts'

export type Asked = {
  readonly remote: string
  readonly record: boolean
  /** Files for the results, as HTML and as JUnit XML. */
  readonly report: string | undefined
  readonly junit: string | undefined
  readonly json: boolean
}

/** What an interruption means before the first event. */
export const NOTHING_BEGAN = 'interrupted before the gates began; nothing is recorded'

export class GateScreen {
  readonly #asked: Asked
  readonly #environment: Caller['environment']
  #progress: GateProgress | null = null
  /** A run whose results were shown and of which JSON is still to be printed. */
  #shown: { readonly target: GateTarget; readonly run: GateRun } | null = null
  readonly #interruption: Interruption

  /** `interruption` is told what an end means, whenever that changes. */
  constructor({ environment }: Caller, asked: Asked, interruption: Interruption) {
    this.#environment = environment
    this.#asked = asked
    this.#interruption = interruption
  }

  readonly tell = (event: ProveEvent): void => {
    switch (event.kind) {
      case 'begins':
        this.#begin(event.target)
        break
      case 'waiting':
        this.#progress?.waiting(event.found)
        break
      case 'gate-begins':
        this.#progress?.started(event.name)
        break
      case 'gate-again':
        this.#progress?.retried(event.name, event.attempt, event.reason)
        break
      case 'gate-prints':
        this.#progress?.printed(event.name, event.line)
        break
      case 'gate-ended':
        this.#progress?.ended(event.outcome)
        break
      case 'ran':
        this.#showResults(event.target, event.run)
        break
      case 'recording':
        this.#interruption.words =
          'interrupted while the result was being recorded; headgate evidence list says whether it is'
        break
      case 'recorded-unsaid':
        tellSubmit(event)
    }
  }

  #begin({ policy, environment, baseUrl, commit, isRelease }: GateTarget): void {
    const { remote, json } = this.#asked
    const whence = isRelease ? ` (${printable(policy.release, 200)} on ${shownRemote(remote)})` : ''
    note(`${environment.name} at ${printable(baseUrl)}, commit ${shortOid(commit)}${whence}`)
    this.#interruption.words = `interrupted before the gates of ${environment.name} ended; nothing is recorded`
    this.#progress = gateProgress({
      gates: environment.gates.map(({ name }) => name),
      target: `${environment.name} to serve ${shortOid(commit)}`,
      quiet: json,
      environment: this.#environment,
    })
  }

  /** The results are on the screen and in the files before anything more can go wrong. */
  #showResults(target: GateTarget, run: GateRun): void {
    const { report, junit, json } = this.#asked
    const { folder, commit } = target
    this.#endProgress()
    if (report !== undefined) writeNamedFile(folder, report, htmlText(run, commit))
    if (junit !== undefined) writeNamedFile(folder, junit, junitText(run, commit))
    if (isGithubActions(this.#environment)) {
      annotate(run)
      summarize(run, commit, this.#environment)
    }
    if (!json) printResults(target, run)
    this.#shown = { target, run }
  }

  showProof({ target, run, recorded, counts, promotable }: Proof): void {
    const { remote, record, json } = this.#asked
    this.#shown = null
    if (json) printJson({ commit: target.commit, recorded, ...run })
    if (record && !run.ran) note('nothing is recorded: a run without a gate is no evidence')
    if (!recorded || json) return
    print(`recorded as evidence on ${shownRemote(remote)}`)
    if (!counts) remarkOtherUrl(target.environment)
    if (promotable === null) return
    print('an operator can promote it now:')
    print(`  ${promoteLine(target.policy, promotable, remote)}`)
  }

  /** Where the run, or the recording of it, ended in an error, which is said after this. */
  fail(): void {
    this.#endProgress()
    if (!this.#asked.json || this.#shown === null) return
    const { target, run } = this.#shown
    printJson({ commit: target.commit, recorded: false, ...run })
  }

  #endProgress(): void {
    this.#progress?.close()
    this.#progress = null
  }
}

/** What passed, what did not and why: a table to paste into a ticket. */
function printResults({ commit }: GateTarget, run: GateRun): void {
  print(table(GATE_COLUMNS, gateRows(run)))
  if (run.problem !== null) print(printable(run.problem, 500))
  const colours = { PASSED: 'green', WARNED: 'yellow', FAILED: 'red' } as const
  print(`${colour(colours[run.result], run.result)}: ${verdictLine(run, commit)}`)
}
