import { expect, test } from 'vitest'
import { junitXml } from '../../src/cli/reports/junit-xml.ts'

test('a suite is written with its counts, and every text of it escaped', () => {
  const written = junitXml({
    name: 'a "suite"',
    timestamp: '2026-01-02T03:04:05Z',
    seconds: 1.5,
    properties: { commit: '<c>' },
    cases: [
      { name: 'passed', className: 'c', seconds: 0.25 },
      { name: 'said', className: 'c', output: 'one\ntwo \x1b[31m' },
      { name: 'failed', className: 'c', failure: { message: "it's\nbad", text: 'a & b' } },
      { name: 'not tried', className: 'c', skipped: 'no <key>' },
    ],
    output: 'the verdict',
  })
  expect(written).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="a &quot;suite&quot;" tests="4" failures="1" errors="0" skipped="1">
  <testsuite name="a &quot;suite&quot;" tests="4" failures="1" errors="0" skipped="1" time="1.5" timestamp="2026-01-02T03:04:05">
    <properties>
      <property name="commit" value="&lt;c&gt;"/>
    </properties>
    <testcase name="passed" classname="c" time="0.25"/>
    <testcase name="said" classname="c"><system-out>one
two \\x1b[31m</system-out></testcase>
    <testcase name="failed" classname="c"><failure message="it&#39;s\\x0abad">a &amp; b</failure></testcase>
    <testcase name="not tried" classname="c"><skipped message="no &lt;key&gt;"/></testcase>
    <system-out>the verdict</system-out>
  </testsuite>
</testsuites>`)
})

test('an empty suite is one', () => {
  expect(junitXml({ name: 's', timestamp: '2026-01-02T03:04:05Z', cases: [] })).toContain(
    '<testsuite name="s" tests="0" failures="0" errors="0" skipped="0" timestamp="2026-01-02T03:04:05"/>',
  )
})
