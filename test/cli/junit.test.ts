/** JUnit reports in the forms in which runners write them, and what is no such report. */
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type JunitReports, readJunitFiles } from '../../src/app/statements/junit.ts'
import { HeadgateError } from '../../src/core/errors.ts'
import { ahead } from '../beginnings.ts'
import { guarded } from './run-program.ts'

function inFolder(): (name: string, content: string | Buffer) => string {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-junit-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return (name, content) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
}

function told({ cases }: JunitReports): string[] {
  return cases.map(({ name, outcome }) => `${outcome} ${name}`)
}

/** As each runner writes it, shortened, with its own attributes, elements and habits. */
const SAMPLES: Record<string, [report: string, results: string[]]> = {
  'surefire, a test that passed at its second attempt': [
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd" version="3.0.2" name="com.example.CartTest" time="0.064" tests="2" errors="0" skipped="0" failures="1" flakes="1">
  <properties>
    <property name="java.version" value="17.0.9"/>
    <property name="testcase" value="&lt;testcase name=&quot;x&quot;/&gt;"/>
  </properties>
  <testcase name="adds" classname="com.example.CartTest" time="0.012"/>
  <testcase name="removes" classname="com.example.CartTest" time="0.021">
    <flakyFailure message="expected: &lt;1&gt; but was: &lt;2&gt;" type="org.opentest4j.AssertionFailedError">
      <stackTrace><![CDATA[org.opentest4j.AssertionFailedError: expected: <1> but was: <2>
	at com.example.CartTest.removes(CartTest.java:21)
]]></stackTrace>
      <system-out><![CDATA[first &amp#27;[31m try]]></system-out>
    </flakyFailure>
  </testcase>
</testsuite>
`,
    ['passed adds', 'passed removes'],
  ],
  'surefire, a test that failed at every attempt': [
    `<testsuite name="com.example.CartTest" tests="3" errors="3" skipped="0" failures="0">
  <testcase name="adds" classname="com.example.CartTest" time="0.01"/>
  <testcase name="removes" classname="com.example.CartTest" time="0.02">
    <error message="&#27;[31mboom" type="java.lang.IllegalStateException"><![CDATA[trace]]></error>
    <rerunError message="boom" type="java.lang.IllegalStateException"><stackTrace>trace</stackTrace></rerunError>
    <rerunFailure message="boom" type="AssertionError"><stackTrace>trace</stackTrace></rerunFailure>
  </testcase>
</testsuite>
`,
    ['passed adds', 'failed removes'],
  ],
  'surefire, a class that could not be set up': [
    `<testsuite name="com.example.CartTest" tests="1" errors="1" skipped="0" failures="0">
  <testcase name="" classname="com.example.CartTest" time="0.0">
    <error message="no database" type="java.lang.IllegalStateException"><![CDATA[trace]]></error>
  </testcase>
</testsuite>
`,
    ['failed case without a name in suite com.example.CartTest'],
  ],
  gradle: [
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="com.example.CartTest" tests="3" skipped="1" failures="1" errors="0" timestamp="2024-01-10T09:12:33" hostname="ci" time="0.034">
  <properties/>
  <testcase name="adds()" classname="com.example.CartTest" time="0.02"/>
  <testcase name="later()" classname="com.example.CartTest" time="0.0">
    <skipped/>
  </testcase>
  <testcase name="removes()" classname="com.example.CartTest" time="0.01">
    <failure message="org.opentest4j.AssertionFailedError: no" type="org.opentest4j.AssertionFailedError">trace</failure>
  </testcase>
  <system-out><![CDATA[<testcase name="printed"/>]]></system-out>
  <system-err><![CDATA[]]></system-err>
</testsuite>
`,
    ['passed adds()', 'skipped later()', 'failed removes()'],
  ],
  'jest-junit': [
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="2" failures="0" errors="1" time="1.093">
  <testsuite name="cart" errors="0" failures="0" skipped="0" timestamp="2024-01-10T09:12:33" time="0.6" tests="1">
    <testcase classname="cart adds" name="cart adds" time="0.003">
    </testcase>
  </testsuite>
  <testsuite name="broken.test.js" errors="1" failures="0" skipped="0" timestamp="2024-01-10T09:12:33" time="0" tests="1">
    <testcase classname="Test suite failed to run" name="broken.test.js" time="0">
      <error>Cannot find module './cart'</error>
    </testcase>
  </testsuite>
  <testsuite name="empty" errors="0" failures="0" skipped="0" tests="0"/>
</testsuites>
`,
    ['passed cart adds', 'failed broken.test.js'],
  ],
  pytest: [
    `<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="2" tests="5" time="0.051" timestamp="2024-01-10T09:12:33.123456+00:00" hostname="ci"><properties><property name="a" value="b" /></properties><testcase classname="test_cart" name="test_adds" time="0.001" /><testcase classname="test_cart" name="test_removes[1-\u00e9]" time="0.001"><failure message="assert 1 == 2">def test_removes():
&gt;       assert 1 == 2</failure></testcase><testcase classname="test_cart" name="test_later" time="0.000"><skipped type="pytest.skip" message="later">test_cart.py:9: later</skipped></testcase><testcase classname="test_cart" name="test_known" time="0.001"><skipped type="pytest.xfail" message="known" /></testcase><testcase classname="test_cart" name="test_cleans" time="0.001"><error message="failed on teardown with &quot;OSError&quot;">E</error></testcase></testsuite></testsuites>`,
    [
      'passed test_adds',
      'failed test_removes[1-\u00e9]',
      'skipped test_later',
      'skipped test_known',
      'failed test_cleans',
    ],
  ],
  phpunit: [
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="/app/phpunit.xml" tests="3" assertions="3" errors="0" failures="1" skipped="0" time="0.01">
    <testsuite name="unit" tests="3" assertions="3" errors="0" failures="1" skipped="0" time="0.01">
      <testsuite name="CartTest" file="/app/tests/CartTest.php" tests="3" assertions="3" errors="0" failures="1" skipped="0" time="0.01">
        <testcase name="testAdds" file="/app/tests/CartTest.php" line="9" class="CartTest" classname="CartTest" assertions="1" time="0.001"/>
        <testsuite name="CartTest::testRemoves" tests="2" assertions="2" errors="0" failures="1" skipped="0" time="0.002">
          <testcase name="testRemoves with data set #0" class="CartTest" classname="CartTest" assertions="1" time="0.001"/>
          <testcase name="testRemoves with data set &quot;two &amp; three&quot;" class="CartTest" classname="CartTest" assertions="1" time="0.001">
            <failure type="PHPUnit\\Framework\\ExpectationFailedException">CartTest::testRemoves</failure>
          </testcase>
        </testsuite>
      </testsuite>
      <testsuite name="EmptyTest" tests="0" assertions="0" errors="0" failures="0" skipped="0" time="0"/>
    </testsuite>
  </testsuite>
</testsuites>
`,
    [
      'passed testAdds',
      'passed testRemoves with data set #0',
      'failed testRemoves with data set "two & three"',
    ],
  ],
  'go-junit-report': [
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" skipped="1">
	<testsuite name="example.com/cart" tests="3" failures="1" errors="0" skipped="1" id="0" hostname="ci" time="0.160" timestamp="2024-01-10T09:12:33Z">
		<properties>
			<property name="coverage.statements.pct" value="13.37"></property>
		</properties>
		<testcase name="TestAdds" classname="example.com/cart" time="0.060"></testcase>
		<testcase name="TestRemoves/two" classname="example.com/cart" time="0.100">
			<failure message="Failed"><![CDATA[    cart_test.go:11: no]]></failure>
		</testcase>
		<testcase name="TestLater" classname="example.com/cart" time="0.000">
			<skipped message="later"></skipped>
		</testcase>
	</testsuite>
</testsuites>
`,
    ['passed TestAdds', 'failed TestRemoves/two', 'skipped TestLater'],
  ],
  mocha: [
    `<testsuite name="Mocha Tests" tests="3" failures="0" errors="1" skipped="1" timestamp="Wed, 10 Jan 2024 09:12:33 GMT" time="0.008">
<testcase classname="cart" name="adds" time="0.001"/>
<testcase classname="cart" name="removes" time="0.002"><failure>no
AssertionError [ERR_ASSERTION]: no
    at Context.&lt;anonymous&gt; (test/cart.js:7:12)</failure></testcase>
<testcase classname="cart" name="later" time="0"><skipped/></testcase>
</testsuite>
`,
    ['passed adds', 'failed removes', 'skipped later'],
  ],
  ctest: [
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="Linux-c++"
	tests="3"
	failures="1"
	disabled="1"
	skipped="0"
	hostname=""
	time="0"
	timestamp="2024-01-10T09:12:33"
	>
	<testcase name="adds" classname="adds" time="0.003" status="run">
		<properties/>
		<system-out>\u001b[32mok\u001b[0m \u0000 </system-out>
	</testcase>
	<testcase name="removes" classname="removes" time="0.004" status="fail">
		<failure message=""/>
		<properties/>
		<system-out></system-out>
	</testcase>
	<testcase name="later" classname="later" time="0" status="disabled">
		<disabled message="Disabled"/>
		<properties/>
		<system-out></system-out>
	</testcase>
</testsuite>
`,
    ['passed adds', 'failed removes', 'skipped later'],
  ],
}

test.for(Object.entries(SAMPLES))('a report of %s', ([, [report, results]]) => {
  expect(told(readJunitFiles([inFolder()('report.xml', report)]))).toEqual(results)
})

test.for(['flakyFailure', 'flakyError', 'rerunFailure', 'rerunError'])(
  'attempts that a suite counts do not fail a case that passed (%s)',
  (element) => {
    const write = inFolder()
    const suite = (inner: string) =>
      `<testsuites errors="3" failures="3"><testsuite name="s" tests="1" errors="2" failures="2"><testcase name="unit">${inner}</testcase></testsuite></testsuites>`
    const attempt = `<${element} type="T"><stackTrace>x</stackTrace><failure/></${element}>`
    expect(told(readJunitFiles([write('a.xml', suite(attempt))]))).toEqual(['passed unit'])
    expect(told(readJunitFiles([write('b.xml', suite(`${attempt}<failure/>`))]))).toEqual(['failed unit'])
    // Without an attempt the numbers say that something is missing.
    expect(told(readJunitFiles([write('c.xml', suite(''))]))).toEqual([
      'passed unit',
      'failed suite s',
      'failed suite without a name',
    ])
  },
)

test('a green build with a test that was tried again is PASSED evidence, which promotes', () => {
  const repository = guarded({ prepare: ahead })
  const commit = repository.git('rev-parse', 'HEAD')
  const file = join(repository.folder, 'results.xml')
  writeFileSync(
    file,
    '<testsuite name="s" tests="2" failures="1"><testcase name="health"><flakyFailure message="first"/></testcase><testcase name="chat"/><testcase/></testsuite>',
  )
  const empty = join(repository.folder, 'empty.xml')
  writeFileSync(empty, '<testsuites tests="0"/>')
  const ran = repository.headgate(
    ...['evidence', 'add', '--commit', commit, '--junit', empty, file, '--served-commit', commit],
    ...['--key', repository.key('ci')],
  )
  expect(ran.stdout).toBe(`PASSED evidence for ${commit.slice(0, 7)} on staging is recorded on origin\n`)
  expect(ran.stderr).toBe(
    `remark: ${empty} has no <testcase>, and is left out\nremark: ${file}:1: a <testcase> without a name is no gate\n`,
  )
  const landed = repository.push(`${commit}:refs/heads/release`)
  expect(landed.code, landed.all).toBe(0)
})

test('what has no name and what is empty stops nothing, and a failure in it counts', () => {
  const write = inFolder()
  const good = write('good.xml', '<testsuite><testcase name="a"/></testsuite>')
  const nameless = write(
    'nameless.xml',
    '<testsuite name="s">\n<testcase/>\n<testcase name=" "/><testcase name="b"/></testsuite>',
  )
  const failed = write('failed.xml', '<testsuite name="s">\n<testcase><error/></testcase></testsuite>')
  const broken = write('broken.xml', '<testsuite name="t" errors="1"/>')
  const empty = write('empty.xml', '<testsuites/>')
  const read = readJunitFiles([good, nameless, failed, broken, empty])
  expect(told(read)).toEqual([
    'passed a',
    'passed b',
    'failed case without a name in suite s',
    'failed suite t',
  ])
  expect(read.remarks).toEqual([
    `${nameless}:2: a <testcase> without a name is no gate, as 1 more`,
    `${failed}:2: a <testcase> without a name is no gate`,
    `${empty} has no <testcase>, and is left out`,
  ])
  expect(() => readJunitFiles([empty, empty])).toThrow('none of the 2 reports has a <testcase> with a name')
})

test.for([
  ['cut off', '<testsuite>\n<testcase name="a">\n', /report\.xml:3: not well-formed XML: .+/],
  [
    'an entity of its own',
    '<testsuite>\n<testcase name="&nbsp;"/></testsuite>',
    /report\.xml:2: not well-formed XML/,
  ],
  ['two roots', '<testsuite/>\n<testsuite/>', /report\.xml:2: not well-formed XML/],
  ['a web page', '<!DOCTYPE html>\n<html></html>', /report\.xml:1 has a document type/],
  ['nothing at all', '', /report\.xml:1: an empty file/],
  ['an unknown encoding', '<?xml version="1.0" encoding="klingon"?><testsuite/>', /report\.xml:1: .*klingon/],
] as const)('%s is refused with file and line', ([, text, message]) => {
  const write = inFolder()
  const good = write('good.xml', '<testsuite><testcase name="a"/></testsuite>')
  const bad = write('report.xml', text)
  let error: unknown
  try {
    readJunitFiles([good, bad])
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(HeadgateError)
  expect(error).toMatchObject({ code: 'data', message: expect.stringMatching(message) })
  expect((error as HeadgateError).hint).toMatch(/.+/)
})

test('other encodings, by byte order mark and by declaration', () => {
  const write = inFolder()
  const text = '<testsuite><testcase name="caf\u00e9"/></testsuite>'
  const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le')
  const latin1 = Buffer.from(`<?xml version="1.0" encoding="ISO-8859-1"?>${text}`, 'latin1')
  for (const bytes of [utf16, Buffer.from(utf16).swap16(), latin1, Buffer.from(`\ufeff${text}`)])
    expect(told(readJunitFiles([write('report.xml', bytes)]))).toEqual(['passed caf\u00e9'])
})

test('a report of 200 MiB is read as a stream, and one of more than 256 MiB refused with a way out', () => {
  const path = inFolder()('long.xml', '')
  const file = openSync(path, 'w')
  writeSync(file, '<testsuite><testcase name="first"><failure/></testcase><system-out><![CDATA[')
  const printed = Buffer.from(`${'\u00e9'.repeat(999)}]]&\n`.repeat(525))
  let bytes = 0
  for (; bytes < 200 * 1024 * 1024; bytes += printed.length) writeSync(file, printed)
  writeSync(file, ']]></system-out><testcase name="last"/></testsuite>')
  closeSync(file)
  const before = process.memoryUsage().rss
  expect(told(readJunitFiles([path]))).toEqual(['failed first', 'passed last'])
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)

  truncateSync(path, 0)
  const whole = openSync(path, 'w')
  writeSync(whole, '<testsuite><testcase name="a"/>')
  const spaces = Buffer.alloc(1024 * 1024, ' ')
  for (let written = 0; written < 257; written++) writeSync(whole, spaces)
  writeSync(whole, '</testsuite>')
  closeSync(whole)
  expect(() => readJunitFiles([path])).toThrow(/long\.xml is larger than 256 MiB/)
})
