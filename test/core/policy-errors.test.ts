import { describe, expect, test } from 'vitest'
import { HeadgateError } from '../../src/core/errors.ts'
import { parsePolicy } from '../../src/core/policy/policy-yaml.ts'

const BASE = `version: 1
repository: git.example.com/app
staging: main
release: release
promotion: { operators: [alice, bob] }
environments:
  staging:
    url: https://staging.example.com
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
`

const and = (text: string) => `${BASE}${text}\n`
const gate = (text: string) => BASE.replace(/ {6}- .*\n/, `      - ${text}\n`)
const expecting = (text: string) => gate(`{ name: a, get: /a, expect: ${text} }`)
function change(from: string, to: string): string {
  expect(BASE).toContain(from)
  return BASE.replace(from, to)
}

function refusalOf(text: string): HeadgateError {
  try {
    parsePolicy(text)
  } catch (error) {
    expect(error).toBeInstanceOf(HeadgateError)
    return error as HeadgateError
  }
  throw new Error('the policy was accepted')
}

/** A mistake, the file with it, and all that is said about it, after the file's name. */
const MISTAKES: [title: string, text: string, problems: string[]][] = [
  // The text as YAML
  ['nothing', '', ['1:1: must be a map, not empty']],
  ['a list', '- 1', ['1:1: must be a map, not a list']],
  [
    'broken YAML',
    'version: [1',
    ['1:12: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  ['tabs', 'a:\n\t- b', ['2:1: Tabs are not allowed as indentation']],
  ['a directive', `%YAML 1.1\n---\n${BASE}`, ['1:1: has a directive; a policy is plain YAML 1.2']],
  ['two documents', `${BASE}---\n${BASE}`, ['12:1: has a second document; a policy is one']],
  [
    'an alias',
    change('[alice, bob] }', '&o [alice, bob] }\nrollback: { approvers: *o }'),
    [
      '5:28: promotion.operators: has an anchor; a policy has no aliases',
      '6:24: rollback.approvers: is an alias; write the value out',
    ],
  ],
  [
    'a merge key',
    change('promotion:', '<<: { a: 1 }\npromotion:'),
    ['5:1: ["<<"]: is a merge key; write the keys out'],
  ],
  ['a tag', change('version: 1', 'version: !!int "1"'), ['1:16: version: has a tag; quote a text instead']],
  [
    'bytes',
    change('release: release', 'release: !!binary aGk='),
    ['4:19: release: is nothing that JSON can hold'],
  ],
  [
    'a key __proto__',
    change('version: 1', '__proto__: { polluted: true }\nversion: 1'),
    ['1:1: __proto__: is a key that no policy needs'],
  ],
  ['a key twice', and('staging: other'), ['12:1: staging: stands here a second time']],
  [
    'a key twice in a gate',
    gate('{ name: a, name: b, get: /a, expect: { status: 200 } }'),
    ['11:20: environments.staging.gates[0].name: stands here a second time'],
  ],
  [
    'a number as key',
    change('version: 1', '1: 1\nversion: 1'),
    ['1:1: has a key that is not plain text; quote it'],
  ],
  [
    'not a number',
    change('version: 1', 'version: .nan'),
    ['1:10: version: is a number that JSON cannot hold'],
  ],
  [
    'a number beyond 2^53',
    expecting('{ json: { n: 9007199254740993 } }'),
    ['11:50: environments.staging.gates[0].expect.json.n: is too large a number; quote it'],
  ],
  [
    'half a character',
    change('[alice,', '["\\ud800",'),
    ['5:26: promotion.operators[0]: is not valid Unicode'],
  ],
  [
    '40 lists in each other',
    gate(`{ name: a, post: /a, json: ${'['.repeat(40)}${']'.repeat(40)}, expect: { status: 200 } }`),
    ['11:63: nests deeper than 32 levels'],
  ],
  ['more than 64 KiB', and('#'.repeat(65536)), ['1:1: is larger than 64 KiB']],
  [
    'a terminal escape',
    change('staging: main', '"\\e[31mstaging": main'),
    [
      '1:1: staging: is missing',
      '3:1: ["\\x1b[31mstaging"]: is unknown here; known are version, repository, staging, release, guard, enforcement, releaseLog, evidence, promotion, rollback, environments',
    ],
  ],
  // Keys
  [
    'another version',
    change('version: 1', 'version: 2'),
    ['1:10: version: must be 1, the only version of this file'],
  ],
  [
    'a misspelt key and a foreign one',
    and('enforcment: enforce\nfoo: 1'),
    [
      '12:1: enforcment: is unknown here; did you mean `enforcement`?',
      '13:1: foo: is unknown here; known are version, repository, staging, release, guard, enforcement, releaseLog, evidence, promotion, rollback, environments',
    ],
  ],
  ['an unknown word', and('enforcement: enforced'), ['12:14: enforcement: must be "enforce" or "evaluate"']],
  [
    'an unknown environment',
    change('  staging:\n', '  prod: {}\n  staging:\n'),
    ['7:3: environments.prod: is unknown here; did you mean `production`?'],
  ],
  ['no staging', change('  staging:\n', '  production:\n'), ['7:3: environments.staging: is missing']],
  ['an empty section', and('rollback:'), ['12:10: rollback: must be a map, not empty']],
  [
    'a repository with a user',
    change('git.example.com/app', 'git@example.com:app'),
    ['2:13: repository: must be a name like git.example.com/app, without user or password'],
  ],
  [
    'a url with a password',
    change('https://staging', 'https://bob:hunter2@staging'),
    ['8:10: environments.staging.url: must not carry a user name or password'],
  ],
  [
    'a url without scheme',
    change('https://staging', 'staging'),
    ['8:10: environments.staging.url: must be a URL like https://staging.example.com'],
  ],
  [
    'a url with a query',
    change('example.com\n    served', 'example.com?a\n    served'),
    ['8:10: environments.staging.url: must have neither query nor fragment'],
  ],
  [
    'a full ref name',
    change('release: release', 'release: refs/heads/release'),
    ['4:10: release: must be a short branch name: write "main", not "refs/heads/main"'],
  ],
  [
    'one branch',
    change('release: release', 'release: main'),
    ['4:10: release: must be another branch than staging'],
  ],
  [
    'branches that exclude each other',
    change('release: release', 'release: main/release'),
    ['4:10: release: cannot exist beside staging: one is a folder of the other'],
  ],
  [
    'no branch name',
    change('release: release', 'release: "a..b"'),
    ['4:10: release: is not a branch name that git allows'],
  ],
  [
    'a log outside',
    and('releaseLog: ../x'),
    ['12:13: releaseLog: must be a relative path inside the repository, without ".."'],
  ],
  [
    'an absolute log',
    and('releaseLog: /x'),
    ['12:13: releaseLog: must be a relative path inside the repository, without ".."'],
  ],
  [
    'a log in .git',
    and('releaseLog: docs/.git/x'),
    ['12:13: releaseLog: must be a relative path inside the repository, without ".."'],
  ],
  [
    'an age without unit',
    and('evidence: { maxAge: 24 }'),
    ['12:21: evidence.maxAge: must be a duration like 90s, 15m, 24h, 7d or 1h30m'],
  ],
  [
    'an age in words',
    and('evidence: { maxAge: 24 hours }'),
    ['12:21: evidence.maxAge: must be a duration like 90s, 15m, 24h, 7d or 1h30m'],
  ],
  [
    'no age, and another spelling',
    and('evidence: { maxAge: 0s, max_age: 24h }'),
    [
      '12:21: evidence.maxAge: must be longer than nothing',
      '12:25: evidence.max_age: is unknown here; did you mean `maxAge`?',
    ],
  ],
  [
    'an age of centuries',
    and('evidence: { maxAge: 99999d }'),
    ['12:21: evidence.maxAge: "99999d" is longer than ten years'],
  ],
  // People
  ['no operators', change('[alice, bob]', '[]'), ['5:25: promotion.operators: must not be empty']],
  [
    'an operator twice',
    change('[alice, bob]', '[alice, alice]'),
    ['5:25: promotion.operators: names somebody twice'],
  ],
  [
    'a number as operator',
    change('[alice, bob]', '[alice, 7]'),
    ['5:33: promotion.operators[1]: must be a text, not a number'],
  ],
  [
    'operators that are no list',
    change('[alice, bob]', 'alice'),
    ['5:25: promotion.operators: must be a list, not a text'],
  ],
  [
    'everybody',
    change('[alice, bob]', '["*"]'),
    [
      '5:26: promotion.operators[0]: must be a name as allowed_signers writes it, without blanks or wildcards',
    ],
  ],
  [
    'more approvals than approvers',
    and('rollback: { approvals: 3 }'),
    ['12:24: rollback.approvals: asks for 3, but names only 2 who may approve'],
  ],
  [
    'more approvals than approvers but the pusher',
    and('rollback: { approvals: 2, approverMayPush: false }'),
    [
      '12:24: rollback.approvals: asks for 2 by others than the pusher, but whichever operator pushes, at most 1 remain',
    ],
  ],
  [
    'nobody but the pusher',
    change('[alice, bob] }', '[alice] }\nrollback: { approverMayPush: false }'),
    [
      '6:30: rollback.approverMayPush: asks for 1 by others than the pusher, but whichever operator pushes, at most 0 remain',
    ],
  ],
  ['no approvals', and('rollback: { approvals: 0 }'), ['12:24: rollback.approvals: must be at least 1']],
  [
    'half an approval',
    and('rollback: { approvals: 1.5 }'),
    ['12:24: rollback.approvals: must be a whole number'],
  ],
  [
    'a smoke test of nothing',
    and('rollback: { target: smoke-passed }'),
    [
      '12:21: rollback.target: needs environments.production, whose gates are the smoke test; without it write landed',
    ],
  ],
  // Environments and gates
  [
    'no served commit, though required',
    change('    servedCommit: { get: /health, json: commit }\n', ''),
    [
      '8:5: environments.staging.servedCommit: is missing: add servedCommit: { get: /health, json: commit }, or set evidence.servedCommit: if-reported',
    ],
  ],
  [
    'no gates',
    change('- { name: health, get: /health, expect: { status: 200 } }', '[]'),
    ['11:7: environments.staging.gates: must not be empty'],
  ],
  [
    'a gate twice',
    gate(
      '{ name: a, get: /a, expect: { status: 200 } }\n      - { name: a, get: /b, expect: { status: 200 } }',
    ),
    ['12:17: environments.staging.gates[1].name: "a" is also the gate in line 11'],
  ],
  [
    'a name with a blank',
    gate('{ name: "a b", get: /a, expect: { status: 200 } }'),
    ['11:17: environments.staging.gates[0].name: must be letters, digits and . _ : / - only'],
  ],
  [
    'no method',
    gate('{ name: a, expect: { status: 200 } }'),
    ['11:7: environments.staging.gates[0]: needs one of get, post, put, patch, delete, head, options or run'],
  ],
  [
    'two methods',
    gate('{ name: a, get: /a, post: /b, expect: { status: 200 } }'),
    [
      '11:29: environments.staging.gates[0].post: cannot stand beside `get`: a gate is one request or one command',
    ],
  ],
  [
    'a relative path',
    gate('{ name: a, get: health, expect: { status: 200 } }'),
    [
      '11:25: environments.staging.gates[0].get: must be a path that starts with "/", in printable ASCII, without "#"',
    ],
  ],
  [
    'a URL as path',
    gate('{ name: a, get: https://x/y, expect: { status: 200 } }'),
    [
      '11:25: environments.staging.gates[0].get: must be a path below the url of the environment, like /health, not a URL',
    ],
  ],
  [
    'a line break in a path',
    gate('{ name: a, get: "/a HTTP/1.1\\r\\nx: y", expect: { status: 200 } }'),
    [
      '11:25: environments.staging.gates[0].get: must be a path that starts with "/", in printable ASCII, without "#"',
    ],
  ],
  [
    'two bodies',
    gate('{ name: a, post: /a, json: 1, body: x, expect: { status: 200 } }'),
    ['11:39: environments.staging.gates[0].body: cannot stand beside `json`: a request has one body'],
  ],
  [
    'a body with GET',
    gate('{ name: a, get: /a, json: 1, expect: { status: 200 } }'),
    ['11:29: environments.staging.gates[0].json: cannot be sent with GET'],
  ],
  [
    'a type of nothing',
    gate('{ name: a, post: /a, contentType: text/plain, expect: { status: 200 } }'),
    ['11:30: environments.staging.gates[0].contentType: needs a body: add `json` or `body`'],
  ],
  [
    'a body from HEAD',
    gate('{ name: a, head: /a, expect: { bodyIncludes: [x] } }'),
    ['11:40: environments.staging.gates[0].expect.bodyIncludes: cannot hold: the answer to HEAD has no body'],
  ],
  [
    'a long timeout',
    gate('{ name: a, get: /a, timeout: 1h, expect: { status: 200 } }'),
    ['11:38: environments.staging.gates[0].timeout: must be at most 10m'],
  ],
  [
    'headers that a policy cannot set',
    gate(
      '{ name: a, get: /a, headers: { Authorization: x, Host: y, Content-Type: z, x-a: 1 }, expect: { status: 200 } }',
    ),
    [
      '11:40: environments.staging.gates[0].headers.Authorization: would put a secret into the policy, which everyone who can fetch can read: write { env: VARIABLE }',
      '11:58: environments.staging.gates[0].headers.Host: is set by headgate itself',
      '11:67: environments.staging.gates[0].headers.Content-Type: is set by `contentType`',
      '11:89: environments.staging.gates[0].headers.x-a: must be a text or { env: VARIABLE }, perhaps with a prefix',
    ],
  ],
  [
    'a secret for every request',
    change('    gates:', '    headers: { Authorization: x }\n    gates:'),
    [
      '10:16: environments.staging.headers.Authorization: would put a secret into the policy, which everyone who can fetch can read: write { env: VARIABLE }',
    ],
  ],
  [
    'headers that are none',
    gate('{ name: a, get: /a, headers: { "x y": z, x: "a\\r\\nb" }, expect: { status: 200 } }'),
    [
      '11:40: environments.staging.gates[0].headers["x y"]: is not the name of an HTTP header',
      '11:53: environments.staging.gates[0].headers.x: must be printable ASCII on one line, without blanks around it',
    ],
  ],
  [
    'a header twice',
    gate('{ name: a, get: /a, headers: { X-A: a, x-a: b }, expect: { status: 200 } }'),
    ['11:38: environments.staging.gates[0].headers: names a header twice'],
  ],
  [
    'a header that has a word of its own',
    gate('{ name: a, get: /a, headers: { origin: https://x.example }, expect: { status: 200 } }'),
    ['11:40: environments.staging.gates[0].headers.origin: is set by `origin`'],
  ],
  [
    'a secret with no variable',
    gate('{ name: a, get: /a, headers: { authorization: { env: 1A } }, expect: { status: 200 } }'),
    [
      '11:62: environments.staging.gates[0].headers.authorization.env: must be the name of an environment variable',
    ],
  ],
  [
    "a secret that is headgate's own variable",
    gate('{ name: a, get: /a, headers: { x: { env: HEADGATE_KEY } }, expect: { status: 200 } }'),
    ['11:50: environments.staging.gates[0].headers.x.env: is a variable with another meaning'],
  ],
  [
    'a command that is a request, too',
    gate('{ name: a, run: x.sh, get: /a }'),
    [
      '11:9: environments.staging.gates[0].expect: is missing',
      '11:20: environments.staging.gates[0].run: cannot stand beside `get`: a gate is one request or one command',
    ],
  ],
  [
    'a command with what belongs to a request',
    gate('{ name: a, run: x.sh, json: 1, expect: { status: 200 } }'),
    [
      '11:31: environments.staging.gates[0].json: cannot stand beside `run`: it belongs to a request',
      '11:40: environments.staging.gates[0].expect: cannot stand beside `run`: the exit code is the outcome',
    ],
  ],
  [
    'a command with a NUL',
    gate('{ name: a, run: "a\\0b" }'),
    ['11:25: environments.staging.gates[0].run: must not have a NUL character'],
  ],
  [
    'a program without a name',
    gate('{ name: a, run: ["", x] }'),
    ['11:20: environments.staging.gates[0].run: must begin with the name of a program'],
  ],
  [
    'an empty command',
    gate('{ name: a, run: "" }'),
    ['11:25: environments.staging.gates[0].run: must not be empty'],
  ],
  [
    'a burst of one, wider than it is long',
    gate('{ name: a, get: /a, burst: { requests: 1, concurrency: 2 }, expect: { status: 200 } }'),
    [
      '11:48: environments.staging.gates[0].burst.requests: must be at least 2',
      '11:51: environments.staging.gates[0].burst.concurrency: is more than the 1 requests',
    ],
  ],
  [
    'a burst that permits a server error',
    gate('{ name: a, get: /a, burst: { requests: 9 }, expect: { statusIn: [200, 503] } }'),
    ['11:63: environments.staging.gates[0].expect.statusIn: cannot permit a server error in a burst'],
  ],
  [
    'a burst that is tried again',
    gate('{ name: a, get: /a, burst: { requests: 9 }, retries: 1, expect: { status: 2xx } }'),
    [
      '11:53: environments.staging.gates[0].retries: cannot stand beside `burst`: one bad answer is what a burst is looking for',
    ],
  ],
  [
    'an origin with a path',
    gate('{ name: a, get: /a, origin: https://x.example/, expect: { corsDenied: true } }'),
    [
      `11:37: environments.staging.gates[0].origin: must be an origin like https://not-allowed.example, without a path, or "null" in quotes`,
    ],
  ],
  [
    'no origin to deny',
    gate('{ name: a, get: /a, expect: { corsDenied: true } }'),
    [
      '11:39: environments.staging.gates[0].expect.corsDenied: needs a foreign origin to try: add `origin: https://not-allowed.example` to the gate',
    ],
  ],
  [
    'corsDenied: false',
    gate('{ name: a, get: /a, origin: https://x.example, expect: { corsDenied: false } }'),
    ['11:78: environments.staging.gates[0].expect.corsDenied: must be true, or left out'],
  ],
  [
    'a burst of preflights',
    gate(
      '{ name: a, get: /a, origin: https://x.example, burst: { requests: 9 }, expect: { corsDenied: true } }',
    ),
    ['11:56: environments.staging.gates[0].burst: cannot stand beside `corsDenied`'],
  ],
  [
    'a hundred retries',
    gate('{ name: a, get: /a, retries: 100, expect: { status: 200 } }'),
    ['11:38: environments.staging.gates[0].retries: must be at most 10'],
  ],
  [
    'a long back-off',
    gate('{ name: a, get: /a, retries: { times: 2, backOff: 2m }, expect: { status: 200 } }'),
    [
      '11:38: environments.staging.gates[0].retries: must be a whole number from 1 to 10, or { times: 3, backOff: 1s } with a backOff of at most 1m',
    ],
  ],
  [
    'a predecessor that is not there',
    gate('{ name: a, get: /a, after: login, expect: { status: 200 } }'),
    ['11:29: environments.staging.gates[0].after: names "login", which is no gate here'],
  ],
  [
    'gates that wait for each other',
    gate('{ name: a, get: /a, after: b, expect: { status: 200 } }\n      - { name: b, run: x, after: a }'),
    [
      '11:29: environments.staging.gates[0].after: leads back to this gate: neither could ever start',
      '12:28: environments.staging.gates[1].after: leads back to this gate: neither could ever start',
    ],
  ],
  [
    'a gate that waits for itself',
    gate('{ name: a, run: x, after: a }'),
    ['11:28: environments.staging.gates[0].after: leads back to this gate: neither could ever start'],
  ],
  [
    'a gate after a burst',
    gate(
      '{ name: a, get: /a, burst: { requests: 2 }, expect: { status: 200 } }\n      - { name: b, run: x, after: a }',
    ),
    ['12:28: environments.staging.gates[1].after: names a burst, and bursts are sent after everything else'],
  ],
  [
    'no class of statuses',
    expecting('{ status: 6xx }'),
    [
      '11:47: environments.staging.gates[0].expect.status: must be a number from 200 to 599, or one of 2xx, 3xx, 4xx and 5xx',
    ],
  ],
  [
    'no time at all',
    expecting('{ maxTime: 0s }'),
    ['11:48: environments.staging.gates[0].expect.maxTime: must be longer than nothing'],
  ],
  [
    'an expectation in the wrong place',
    gate('{ name: a, get: /a, corsDenied: true, expect: { status: 200 } }'),
    ['11:29: environments.staging.gates[0].corsDenied: belongs under `expect`'],
  ],
  // Expectations
  ['none', gate('{ name: a, get: /a }'), ['11:9: environments.staging.gates[0].expect: is missing']],
  [
    'an empty one',
    expecting('{}'),
    ['11:29: environments.staging.gates[0].expect: must name what to expect, like { status: 200 }'],
  ],
  [
    'an empty value',
    expecting(''),
    ['11:38: environments.staging.gates[0].expect: must be a map, not empty'],
  ],
  [
    'empty json',
    expecting('{ json: {} }'),
    ['11:45: environments.staging.gates[0].expect.json: must not be empty'],
  ],
  [
    'in the wrong place, and misspelt',
    gate('{ name: a, get: /a, status: 200, expect: { bodyInclude: [a] } }'),
    [
      '11:29: environments.staging.gates[0].status: belongs under `expect`',
      '11:52: environments.staging.gates[0].expect.bodyInclude: is unknown here; did you mean `bodyIncludes`?',
    ],
  ],
  [
    'a text as status',
    expecting('{ status: "200" }'),
    [
      '11:47: environments.staging.gates[0].expect.status: must be a number from 200 to 599, or one of 2xx, 3xx, 4xx and 5xx',
    ],
  ],
  [
    'a list as status',
    expecting('{ status: [200] }'),
    [
      '11:47: environments.staging.gates[0].expect.status: must be a number from 200 to 599, or one of 2xx, 3xx, 4xx and 5xx',
    ],
  ],
  [
    'no such status',
    expecting('{ status: 42 }'),
    ['11:47: environments.staging.gates[0].expect.status: must be at least 200'],
  ],
  [
    'two ways to say status',
    expecting('{ status: 200, statusIn: [200] }'),
    ['11:52: environments.staging.gates[0].expect.statusIn: cannot stand beside `status`'],
  ],
  [
    'no status at all',
    expecting('{ statusIn: [] }'),
    ['11:49: environments.staging.gates[0].expect.statusIn: must not be empty'],
  ],
  [
    'a list as value',
    expecting('{ json: { host: [a, b] } }'),
    [
      '11:53: environments.staging.gates[0].expect.json.host: must not be a list: write { oneOf: [...] } for alternatives',
    ],
  ],
  [
    'a map as value',
    expecting('{ json: { db: { host: x } } }'),
    [
      '11:51: environments.staging.gates[0].expect.json.db: must be a single value, { oneOf: [...] }, { matches: ... } or { absent: true }; what is further inside is named by a dotted path, like database.host',
    ],
  ],
  [
    'an operator misspelt',
    expecting('{ json: { a: { oneof: [a] } } }'),
    [
      '11:50: environments.staging.gates[0].expect.json.a: must be a single value, { oneOf: [...] }, { matches: ... } or { absent: true }, with exactly one of these words',
    ],
  ],
  [
    'one of nothing',
    expecting('{ json: { a: { oneOf: [] } } }'),
    ['11:59: environments.staging.gates[0].expect.json.a.oneOf: must not be empty'],
  ],
  [
    'two operators',
    expecting('{ json: { a: { oneOf: [1], absent: true } } }'),
    [
      '11:50: environments.staging.gates[0].expect.json.a: must be a single value, { oneOf: [...] }, { matches: ... } or { absent: true }, with exactly one of these words',
    ],
  ],
  [
    'a broken pattern',
    expecting('{ json: { a: { matches: "(" } } }'),
    ['11:61: environments.staging.gates[0].expect.json.a.matches: is not a regular expression'],
  ],
  [
    'a broken path',
    expecting('{ json: { a..b: 1 } }'),
    ['11:47: environments.staging.gates[0].expect.json["a..b"]: must be a dotted path like database.host'],
  ],
  [
    'absent: false',
    expecting('{ json: { a: { absent: false } } }'),
    [
      '11:50: environments.staging.gates[0].expect.json.a: must be a single value, { oneOf: [...] }, { matches: ... } or { absent: true }, with exactly one of these words',
    ],
  ],
  [
    'a number as header',
    expecting('{ headers: { x: 1 } }'),
    [
      '11:53: environments.staging.gates[0].expect.headers.x: must be a text, { oneOf: [...] }, { matches: ... } or { absent: true }',
    ],
  ],
]

describe('a policy is refused, with line, column and key', () => {
  test.each(MISTAKES)('%s', (_, text, problems) => {
    const error = refusalOf(text)
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
    expect(error.code).toBe('configuration')
    expect(error.message.split('\n')).toEqual([
      `policy.yaml has ${count}`,
      ...problems.map((problem) => `policy.yaml:${problem}`),
    ])
    expect(error.message).not.toContain('hunter2')
  })
})

test('all problems are told at once, the first twenty of them, under the name of the file', () => {
  const text = and(Array.from({ length: 30 }, (_, at) => `zz${at}: 1`).join('\n'))
  const error = (() => {
    try {
      return parsePolicy(text, '.headgate/policy.yaml')
    } catch (thrown) {
      return thrown as HeadgateError
    }
  })()
  const lines = (error as HeadgateError).message.split('\n')
  expect(lines).toHaveLength(22)
  expect(lines[0]).toBe('.headgate/policy.yaml has 30 problems')
  expect(lines[1]).toMatch(
    /^\.headgate\/policy\.yaml:12:1: zz0: is unknown here; known are version, repository, /,
  )
  expect(lines[21]).toBe('and 10 more')
})

test('a key __proto__ changes no object', () => {
  refusalOf(change('version: 1', '__proto__: { polluted: true }\nversion: 1'))
  refusalOf(gate('{ name: a, post: /a, json: { __proto__: { polluted: true } }, expect: { status: 200 } }'))
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})
