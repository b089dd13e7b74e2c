import { readFileSync, statSync } from 'node:fs'
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { HeadgateError } from '../core/errors.ts'

type CaseResult = { readonly name: string; readonly outcome: 'passed' | 'failed' | 'skipped' }

const MAX_FILE_BYTES = 16 * 1024 * 1024

/**
 * Test cases of JUnit XML files by name. Cases of one name are one result: it passed only if all of them passed, and a
 * skipped case has not passed.
 */
export function readJunitFiles(files: readonly string[]): CaseResult[] {
  const outcomes = new Map<string, CaseResult['outcome']>()
  for (const file of files) {
    const cases = testCases(parseXml(file))
    if (cases.length === 0)
      throw new HeadgateError('data', `${file} has no <testcase>`, { hint: 'is it a JUnit XML report?' })
    for (const { name, outcome } of cases) {
      const known = outcomes.get(name)
      outcomes.set(name, known === undefined || RANK[outcome] > RANK[known] ? outcome : known)
    }
  }
  return [...outcomes].map(([name, outcome]) => ({ name, outcome }))
}

const RANK = { passed: 0, skipped: 1, failed: 2 } as const

function parseXml(file: string): unknown {
  let text: string
  try {
    if (statSync(file).size > MAX_FILE_BYTES)
      throw new HeadgateError('data', `${file} is larger than 16 MiB`, {
        hint: 'record fewer reports at once',
      })
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    if (cause instanceof HeadgateError) throw cause
    throw new HeadgateError('usage', `${file} cannot be read`, {
      hint: '--junit takes files of a test report in the format JUnit XML',
      cause,
    })
  }
  const valid = XMLValidator.validate(text)
  if (valid !== true)
    throw new HeadgateError('data', `${file}:${valid.err.line}: not well-formed XML: ${valid.err.msg}`, {
      hint: 'was the test run interrupted while it wrote the report?',
    })
  if (/<!DOCTYPE/i.test(text.replace(QUOTED, ''))) {
    throw new HeadgateError('data', `${file} has a document type`, {
      hint: 'a JUnit XML report needs none, and entities that one defines are not read',
    })
  }
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    processEntities: false,
    parseAttributeValue: false,
    removeNSPrefix: true,
  })
  try {
    return parser.parse(text)
  } catch (cause) {
    // Nested hundreds deep, or named like a part of JavaScript.
    throw new HeadgateError('data', `${file} is not built like a test report`, {
      hint: 'is it a JUnit XML report?',
      cause,
    })
  }
}

/** Comments, instructions and CDATA: reports quote web pages, which have a document type of their own. */
const QUOTED = /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[[\s\S]*?\]\]>/g

/** What a program printed may look like a test case. */
const NO_SUITES = ['system-out', 'system-err', 'properties']

/** All test cases, however deep the suites nest, and a failed case for every suite that failed by itself. */
function testCases(node: unknown): CaseResult[] {
  if (Array.isArray(node)) return node.flatMap(testCases)
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    if (key === 'testcase') return [value].flat().map(caseResult)
    if (NO_SUITES.includes(key)) return []
    const cases = testCases(value)
    return key === 'testsuite' || key === 'testsuites'
      ? [...cases, ...[value].flat().flatMap(suiteFailure)]
      : cases
  })
}

/**
 * A suite that says that more went wrong than its cases show: its set-up broke, or the report was cut. What it was to
 * prove is not proved by the cases that are left.
 */
function suiteFailure(node: unknown): CaseResult[] {
  if (typeof node !== 'object' || node === null) return []
  const suite = node as Record<string, unknown>
  const count = (name: string) => (/^\d{1,9}$/.test(String(suite[name] ?? '')) ? Number(suite[name]) : 0)
  const failed = testCases(suite).filter(({ outcome }) => outcome === 'failed').length
  const broken = 'error' in suite || 'failure' in suite || count('@errors') + count('@failures') > failed
  const name = typeof suite['@name'] === 'string' ? plainText(suite['@name']) : 'without a name'
  return broken ? [{ name: `suite ${name}`, outcome: 'failed' }] : []
}

function caseResult(node: Record<string, unknown>): CaseResult {
  const name = node['@name']
  if (typeof name !== 'string' || name === '')
    throw new HeadgateError('data', 'a <testcase> has no name', {
      hint: 'every case is a gate, and gates have names',
    })
  return { name: plainText(name), outcome: outcomeOf(node) }
}

function plainText(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity: keyof typeof ENTITIES) => ENTITIES[entity])
}

const ENTITIES = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' } as const

/** GoogleTest and others say in an attribute what JUnit says in an element. */
const FAILED_WORDS = /^(?:fail(?:ed|ure)?|errors?|broken|timed?[-_ ]?out)$/i
const SKIPPED_WORDS =
  /^(?:not[-_ ]?run|skip(?:ped)?|disabled|suppressed|pending|ignored|todo|inconclusive|aborted|cancell?ed)$/i

function outcomeOf(node: Record<string, unknown>): CaseResult['outcome'] {
  const words = [node['@status'], node['@result']].map(String)
  if ('failure' in node || 'error' in node || words.some((word) => FAILED_WORDS.test(word))) return 'failed'
  return 'skipped' in node || words.some((word) => SKIPPED_WORDS.test(word)) ? 'skipped' : 'passed'
}
