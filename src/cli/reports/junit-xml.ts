/**
 * JUnit XML, which every CI system shows: one suite of test cases. All of the file is written here, and every text in it is
 * escaped here.
 */
import { escapeUnsafe } from '../../core/printable.ts'
import { escapeMarkup } from './markup.ts'

export type JunitSuite = {
  readonly name: string
  /** As ISO 8601. */
  readonly timestamp: string
  readonly seconds?: number
  readonly properties?: Readonly<Record<string, string>>
  readonly cases: readonly JunitCase[]
  readonly output?: string
}

/** A case with neither `failure` nor `skipped` has passed. */
export type JunitCase = {
  readonly name: string
  readonly className: string
  readonly seconds?: number
  /** `text` says more than the message does. */
  readonly failure?: { readonly message: string; readonly text?: string }
  readonly skipped?: string
  readonly output?: string
}

export function junitXml(suite: JunitSuite): string {
  const { name, timestamp, seconds, properties = {}, cases, output } = suite
  const counts = {
    tests: cases.length,
    failures: cases.filter(({ failure }) => failure !== undefined).length,
    errors: 0,
    skipped: cases.filter(({ skipped }) => skipped !== undefined).length,
  }
  const listed = Object.entries(properties).map(([name, value]) => element('property', { name, value }))
  const content = [
    ...(listed.length === 0 ? [] : [element('properties', {}, listed)]),
    ...cases.map(testCase),
    ...(output === undefined ? [] : [element('system-out', {}, output)]),
  ]
  const inner = element(
    'testsuite',
    { name, ...counts, time: seconds, timestamp: localTime(timestamp) },
    content,
  )
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    ...element('testsuites', { name, ...counts }, [inner]),
  ].join('\n')
}

/** On one line, as far as its texts are. */
function testCase({ name, className, seconds, failure, skipped, output }: JunitCase): Lines {
  const lines = element('testcase', { name, classname: className, time: seconds }, [
    ...(skipped === undefined ? [] : [element('skipped', { message: skipped })]),
    ...(failure === undefined ? [] : [element('failure', { message: failure.message }, failure.text)]),
    ...(output === undefined ? [] : [element('system-out', {}, output)]),
  ])
  return [lines.map((line) => line.trimStart()).join('')]
}

type Lines = readonly string[]

/** Without content it is an empty element; text keeps its line breaks, elements are indented. */
function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  content: string | readonly Lines[] = [],
): Lines {
  const words = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${xml(String(value))}"`)
  const open = `<${name}${words.join('')}`
  if (content.length === 0) return [`${open}/>`]
  if (typeof content === 'string') return [`${open}>${content.split('\n').map(xml).join('\n')}</${name}>`]
  return [`${open}>`, ...content.flat().map((line) => `  ${line}`), `</${name}>`]
}

/** JUnit's schema knows no time zone; readers take it for UTC. */
function localTime(time: string): string {
  return time.replace(/Z$/, '')
}

/** XML can't hold control characters, not even escaped. */
function xml(text: string): string {
  return escapeMarkup(escapeUnsafe(text))
}
