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
  if (/<!DOCTYPE/i.test(text)) {
    throw new HeadgateError('data', `${file} has a document type`, {
      hint: 'a JUnit XML report needs none, and entities that one defines are not read',
    })
  }
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    processEntities: false,
    parseAttributeValue: false,
  })
  return parser.parse(text)
}

/** All test cases, however deep the suites nest. */
function testCases(node: unknown): CaseResult[] {
  if (Array.isArray(node)) return node.flatMap(testCases)
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) =>
    key === 'testcase' ? [value].flat().map(caseResult) : testCases(value),
  )
}

function caseResult(node: Record<string, unknown>): CaseResult {
  const name = node['@name']
  if (typeof name !== 'string' || name === '')
    throw new HeadgateError('data', 'a <testcase> has no name', {
      hint: 'every case is a gate, and gates have names',
    })
  const plain = name.replace(
    /&(lt|gt|quot|apos|amp);/g,
    (_, entity: keyof typeof ENTITIES) => ENTITIES[entity],
  )
  return { name: plain, outcome: outcomeOf(node) }
}

const ENTITIES = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' } as const

function outcomeOf(node: Record<string, unknown>): CaseResult['outcome'] {
  if ('failure' in node || 'error' in node) return 'failed'
  return 'skipped' in node ? 'skipped' : 'passed'
}
