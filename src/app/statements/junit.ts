/**
 * JUnit XML reports as test runners write them, read as a stream. A `<testcase>` failed if a `<failure>` or an `<error>` is
 * in it; `<flakyFailure>`, `<flakyError>`, `<rerunFailure>` and `<rerunError>` are attempts of it (Maven Surefire, Gradle's
 * test retry), which the attributes `failures` and `errors` of its suite may count as well.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import { TextDecoder } from 'node:util'
import { SaxesParser, type SaxesTagPlain } from 'saxes'
import { HeadgateError } from '../../core/errors.ts'
import { printable } from '../../core/printable.ts'

export type CaseResult = { readonly name: string; readonly outcome: 'passed' | 'failed' | 'skipped' }

export type JunitReports = {
  readonly cases: readonly CaseResult[]
  /** What was left out, for people. */
  readonly remarks: readonly string[]
}

/** A report of 100,000 cases has some 30 MiB; more comes of what programs print, and that is not kept. */
const MAX_FILE_BYTES = 256 * 1024 * 1024
/** Names of cases, of all reports together: each is kept. */
const MAX_CASES = 1_000_000
/** Suites in suites. */
const MAX_DEPTH = 200
const CHUNK_BYTES = 1024 * 1024

/**
 * Test cases of JUnit XML files by name. Cases of one name are one result: it passed only if all of them passed, and a
 * skipped case has not passed. Relative names are of files in `folder`, the process's own unless told. Throws where a
 * file is no such report, or no case is in any of them.
 */
export function readJunitFiles(files: readonly string[], folder = ''): JunitReports {
  const outcomes = new Map<string, CaseResult['outcome']>()
  const remarks: string[] = []
  for (const file of files) {
    const report = new Report(file, (name, outcome) => {
      const known = outcomes.get(name)
      outcomes.set(name, known === undefined || RANK[outcome] > RANK[known] ? outcome : known)
      if (outcomes.size <= MAX_CASES) return
      throw new HeadgateError('data', `the reports name more than ${MAX_CASES} test cases`, {
        hint: 'record only the reports of the tests that the policy names as gates',
      })
    })
    readXml(file, folder, report)
    remarks.push(...report.remarks)
  }
  if (outcomes.size === 0) {
    const what = files.length === 1 ? `${files[0]} has no` : `none of the ${files.length} reports has a`
    throw new HeadgateError('data', `${what} <testcase> with a name`, { hint: 'is it a JUnit XML report?' })
  }
  return { cases: [...outcomes].map(([name, outcome]) => ({ name, outcome })), remarks }
}

const RANK = { passed: 0, skipped: 1, failed: 2 } as const

/** One pass over the file, which may be a pipe. */
function readXml(file: string, folder: string, report: Report): void {
  const parser = new SaxesParser({
    xmlns: false,
    position: false,
    forceXMLVersion: true,
    defaultXMLVersion: '1.1',
  })
  const at = () => `${file}:${parser.line}`
  parser.on('error', ({ message }) => {
    throw new HeadgateError('data', `${at()}: not well-formed XML: ${printable(message, 200)}`, {
      hint: 'was the test run interrupted while it wrote the report?',
    })
  })
  parser.on('doctype', () => {
    throw new HeadgateError('data', `${at()} has a document type`, {
      hint: 'a JUnit XML report needs none, and entities that one defines are not read',
    })
  })
  parser.on('opentag', (tag) => report.open(tag, parser.line))
  parser.on('closetag', () => report.close())
  for (const text of readText(file, resolve(folder, file))) parser.write(text.replace(NOT_XML, '\ufffd'))
  parser.close()
}

/**
 * Programs print colours, and not every runner leaves them out of its report. As references (`&#27;`) version 1.1 of XML
 * takes them, as themselves none does.
 */
const NOT_XML = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]/g

function* readText(file: string, path: string): Generator<string> {
  const unreadable = (cause: unknown) =>
    new HeadgateError('usage', `${file} cannot be read`, {
      hint: '--junit takes files of a test report in the format JUnit XML',
      cause,
    })
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (cause) {
    throw unreadable(cause)
  }
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES)
    let decoder: TextDecoder | undefined
    let bytes = 0
    for (;;) {
      let length: number
      try {
        length = readSync(descriptor, buffer)
      } catch (cause) {
        throw unreadable(cause)
      }
      if (length === 0) break
      bytes += length
      if (bytes > MAX_FILE_BYTES) {
        throw new HeadgateError('data', `${file} is larger than 256 MiB`, {
          hint: 'let the test run write one report for each suite, and give all of them to --junit',
        })
      }
      const chunk = buffer.subarray(0, length)
      decoder ??= decoderFor(file, chunk)
      yield decoder.decode(chunk, { stream: true })
    }
    if (bytes === 0) {
      throw new HeadgateError('data', `${file}:1: an empty file, not even an empty report`, {
        hint: 'was the test run interrupted? if no test belongs to it, leave the file out',
      })
    }
    yield decoder?.decode() ?? ''
  } finally {
    closeSync(descriptor)
  }
}

/** By byte order mark or declaration; UTF-8 where there is neither. */
function decoderFor(file: string, start: Buffer): TextDecoder {
  const declared = /^<\?xml[^>]{1,200}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(
    start.toString('latin1', 0, 256),
  )
  const mark = start.readUIntBE(0, Math.min(2, start.length))
  const label = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : (declared?.[1] ?? 'utf-8')
  try {
    return new TextDecoder(label)
  } catch (cause) {
    throw new HeadgateError('data', `${file}:1: headgate does not know the encoding ${label}`, {
      hint: 'let the test run write its report in UTF-8',
      cause,
    })
  }
}

type Suite = {
  readonly kind: 'suite'
  readonly name: string
  /** What `failures` and `errors` say together. */
  readonly counted: number
  failed: number
  /** Whether a case says that it was tried again. */
  retried: boolean
  broken: boolean
}
type Case = {
  readonly kind: 'case'
  readonly name: string
  readonly line: number
  outcome: CaseResult['outcome']
}
type Frame = Suite | Case | { readonly kind: 'other' } | { readonly kind: 'no-suites' }

/** What a program printed may look like a test case. */
const NO_SUITES = ['system-out', 'system-err', 'properties']
const FAILURES = ['failure', 'error']
const ATTEMPTS = ['flakyFailure', 'flakyError', 'rerunFailure', 'rerunError']

/** Follows the elements of one report, however deep its suites nest. */
class Report {
  readonly remarks: string[] = []
  readonly #file: string
  readonly #result: (name: string, outcome: CaseResult['outcome']) => void
  readonly #open: Frame[] = []
  /** Lines of cases that have no name. */
  readonly #nameless: number[] = []
  #results = 0

  constructor(file: string, result: (name: string, outcome: CaseResult['outcome']) => void) {
    this.#file = file
    this.#result = result
  }

  open({ name, attributes }: SaxesTagPlain, line: number): void {
    if (this.#open.length >= MAX_DEPTH) {
      throw new HeadgateError('data', `${this.#file}:${line}: not built like a test report`, {
        hint: `is it a JUnit XML report? its elements nest more than ${MAX_DEPTH} deep`,
      })
    }
    const parent = this.#open.at(-1)
    const element = name.slice(name.indexOf(':') + 1)
    this.#open.push(this.#frame(element, attributes, line, parent))
    if (parent?.kind === 'case') this.#partOfCase(parent, element)
    else if (parent?.kind === 'suite' && FAILURES.includes(element)) parent.broken = true
  }

  #frame(
    element: string,
    attributes: Record<string, string>,
    line: number,
    parent: Frame | undefined,
  ): Frame {
    if (parent?.kind === 'no-suites' || parent?.kind === 'case' || NO_SUITES.includes(element))
      return { kind: 'no-suites' }
    if (element === 'testcase')
      return { kind: 'case', name: attributes.name ?? '', line, outcome: outcomeOf(attributes) }
    if (element !== 'testsuite' && element !== 'testsuites') return { kind: 'other' }
    const count = (name: string) => (/^\d{1,9}$/.test(attributes[name] ?? '') ? Number(attributes[name]) : 0)
    const counted = count('errors') + count('failures')
    const name = attributes.name || 'without a name'
    return { kind: 'suite', name, counted, failed: 0, retried: false, broken: false }
  }

  #partOfCase(testCase: Case, element: string): void {
    if (FAILURES.includes(element)) testCase.outcome = 'failed'
    else if (element === 'skipped' && testCase.outcome === 'passed') testCase.outcome = 'skipped'
    else if (ATTEMPTS.includes(element)) for (const suite of this.#suites()) suite.retried = true
  }

  close(): void {
    const frame = this.#open.pop()
    if (frame?.kind === 'case') this.#closeCase(frame)
    else if (frame?.kind === 'suite') this.#closeSuite(frame)
    if (this.#open.length === 0) this.#closeReport()
  }

  #closeCase({ name, line, outcome }: Case): void {
    this.#results++
    const suites = this.#suites()
    if (outcome === 'failed') for (const suite of suites) suite.failed++
    if (name.trim() !== '') this.#result(name, outcome)
    else {
      // It is no gate; that it failed counts.
      if (outcome === 'failed') this.#result(`case without a name in suite ${suites.at(-1)?.name}`, 'failed')
      this.#nameless.push(line)
    }
  }

  /**
   * A suite that says that more went wrong than its cases show: its set-up broke, or the report was cut. What it was to
   * prove is not proved by the cases that are left. Where cases were tried again its numbers may be those of attempts, and
   * the cases alone say what came of it.
   */
  #closeSuite({ name, counted, failed, retried, broken }: Suite): void {
    if (!broken && (retried || counted <= failed)) return
    this.#results++
    this.#result(`suite ${name}`, 'failed')
  }

  #closeReport(): void {
    const file = printable(this.#file, 200)
    const [line, ...more] = this.#nameless
    if (line !== undefined) {
      const others = more.length === 0 ? '' : `, as ${more.length} more`
      this.remarks.push(`${file}:${line}: a <testcase> without a name is no gate${others}`)
    }
    if (this.#results === 0) this.remarks.push(`${file} has no <testcase>, and is left out`)
  }

  #suites(): Suite[] {
    return this.#open.filter((frame) => frame.kind === 'suite')
  }
}

/** GoogleTest and others say in an attribute what JUnit says in an element. */
const FAILED_WORDS = /^(?:fail(?:ed|ure)?|errors?|broken|timed?[-_ ]?out)$/i
const SKIPPED_WORDS =
  /^(?:not[-_ ]?run|skip(?:ped)?|disabled|suppressed|pending|ignored|todo|inconclusive|aborted|cancell?ed)$/i

function outcomeOf({ status = '', result = '' }: Record<string, string>): CaseResult['outcome'] {
  const says = (words: RegExp) => words.test(status) || words.test(result)
  return says(FAILED_WORDS) ? 'failed' : says(SKIPPED_WORDS) ? 'skipped' : 'passed'
}
