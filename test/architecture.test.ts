/** The shape of the code, read from its imports: who may know whom, what the core must not touch, how long a file may be. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, matchesGlob, normalize } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
/** A file that needs more is about two things. */
const MAX_LINES = 350

const BELOW_GUARD = ['src/core', 'src/signing', 'src/git', 'src/ledger', 'src/gate']
const BELOW_SERVER = [...BELOW_GUARD, 'src/guard']

/**
 * Which parts each part may import, the rooms of a part before the part itself. Siblings never import each other; the
 * guard, the audit, the commands and the server wire them.
 */
const LAYERS: { readonly [part: string]: readonly string[] } = {
  'src/core': [],
  'src/signing': ['src/core'],
  'src/git': ['src/core'],
  'src/ledger': ['src/core'],
  'src/gate': ['src/core'],
  'src/guard': BELOW_GUARD,
  'src/audit': BELOW_SERVER,
  'src/relay': BELOW_SERVER,
  'server/hooks': [...BELOW_SERVER, 'server'],
  'server/install': [...BELOW_SERVER, 'server'],
  'server/service': [...BELOW_SERVER, 'server', 'server/hooks'],
  server: BELOW_SERVER,
  'src/app': [...BELOW_SERVER, 'src/audit', 'src/relay', 'server', 'server/install', 'server/service'],
  'src/cli': [
    ...BELOW_SERVER,
    'src/audit',
    'src/relay',
    'src/app',
    'server',
    'server/install',
    'server/service',
  ],
}

/** What the core imports besides itself: package, then the only files that may, where not all may. */
const CORE_PACKAGES: { readonly [name: string]: readonly string[] | 'any' } = {
  'zod/mini': ['src/core/zod-mini.ts'],
  'zod/v4/locales/en.js': ['src/core/zod-mini.ts'],
  yaml: ['src/core/policy/policy-text.ts', 'src/core/policy/policy-yaml.ts'],
  canonicalize: ['src/core/canonical-json.ts'],
  'node:crypto': ['src/core/canonical-json.ts'],
  'package.json': ['src/core/version.ts'],
}

type Import = { readonly from: string; readonly to: string; readonly typeOnly: boolean }
type Source = { readonly path: string; readonly text: string; readonly imports: readonly Import[] }

const SOURCES: readonly Source[] = ['src', 'server'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const path = `${folder}/${name}`
      const text = withoutComments(readFileSync(join(ROOT, path), 'utf8'))
      return { path, text, imports: importsOf(path, text) }
    }),
)
const IMPORTS = SOURCES.flatMap((source) => source.imports)

/** Comments speak of clocks and promises; code must not have them. Line breaks stay. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/(^|\s)\/\/.*$/gm, '')
}

function importsOf(path: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)
  const calls = text.matchAll(/(?<!#)\bimport\(\s*['"]([^'"]+)['"]/g)
  const found = [
    ...[...statements].map(([, type, to = '']) => ({ to, typeOnly: type !== undefined })),
    ...[...calls].map(([, to = '']) => ({ to, typeOnly: false })),
  ]
  return found.map(({ to, typeOnly }) => ({
    from: path,
    to: to.startsWith('.') ? normalize(join(dirname(path), to)) : to,
    typeOnly,
  }))
}

function partOf(path: string): string | undefined {
  return Object.keys(LAYERS).find((part) => path.startsWith(`${part}/`))
}

/** Where in the code something stands, as `path:line`. */
function where(pattern: RegExp, sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(new RegExp(pattern, 'gm'))].map(
      ({ index }) => `${path}:${text.slice(0, index).split('\n').length}`,
    ),
  )
}

test('the sources and their imports are found', () => {
  expect(SOURCES.length).toBeGreaterThan(80)
  expect(IMPORTS.filter(({ to }) => to.startsWith('src/core/')).length).toBeGreaterThan(100)
  for (const { path, imports } of SOURCES) {
    const { text } = SOURCES.find((source) => source.path === path) ?? { text: '' }
    expect(imports.length, path).toBe(
      (text.match(/^import\b|^export .* from |(?<!#)\bimport\(/gm) ?? []).length,
    )
  }
})

test('every source belongs to a part that has its place', () => {
  expect(SOURCES.filter(({ path }) => partOf(path) === undefined).map(({ path }) => path)).toEqual([])
})

describe.for(Object.entries(LAYERS))('%s', ([part, others]) => {
  test(`imports ${others.length === 0 ? 'no other part' : `no part but ${others.join(', ')}`}`, () => {
    const breaches = IMPORTS.filter(({ from, to }) => {
      if (partOf(from) !== part || !/^(?:src|server)\//.test(to)) return false
      const target = partOf(to)
      return target !== part && !(target !== undefined && others.includes(target))
    })
    expect(breaches.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })
})

test('every import names a source that exists, by its full name', () => {
  const paths = new Set(SOURCES.map(({ path }) => path))
  const missing = IMPORTS.filter(({ to }) => /^(?:src|server)\//.test(to) && !paths.has(to))
  expect(missing).toEqual([])
})

test('no source needs itself to be loaded first', () => {
  const graph = new Map(
    SOURCES.map(({ path, imports }) => [
      path,
      imports.filter(({ typeOnly }) => !typeOnly).map(({ to }) => to),
    ]),
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) cycles.push([...way.slice(way.indexOf(path)), path].join(' -> '))
    if (way.includes(path) || done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...way, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  expect(cycles).toEqual([])
})

test('objects and refs are read by git alone', () => {
  // Those name the file of packed refs, and look at who may write it, or whether a ref that is pruned is in it.
  const mayNameIt = [
    'server/install/misfits.ts',
    'server/hooks/reference-transaction.ts',
    'server/service/repository-checks.ts',
  ]
  for (const { path, text, imports } of SOURCES) {
    expect(
      imports.map(({ to }) => to),
      path,
    ).not.toContain('node:zlib')
    if (!mayNameIt.includes(path)) expect(text.includes("'packed-refs'"), path).toBe(false)
  }
})

test('packages are imported by their public entries', () => {
  const inner = IMPORTS.filter(({ to }) => {
    const [, name = '', path] = /^((?:@[^/]+\/)?[^/]+)(\/.+)?$/.exec(to) ?? []
    if (path === undefined || /^(?:src|server|node:.*)$/.test(name)) return false
    const { exports = {} } = JSON.parse(
      readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'),
    )
    return !Object.keys(exports).some((entry) => matchesGlob(`.${path}`, entry))
  })
  expect(inner.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
})

test('zod has one dialect, from one place', () => {
  const others = IMPORTS.filter(({ to }) => /^zod(?:\/|$)/.test(to) && to !== 'zod/v4/locales/en.js')
  expect(others.length).toBeGreaterThan(0)
  expect(others.filter(({ from, to }) => from !== 'src/core/zod-mini.ts' || to !== 'zod/mini')).toEqual([])
})

test('the environment of the process is read, and passed on as a value, and never changed', () => {
  const changes =
    /\bprocess\.env\s*(?:\.\s*\w+|\[[^\]]*\])?\s*(?:\?\?|\|\||&&)?=(?![=>])|\bdelete\s+process\.env\b|\bObject\.(?:assign|definePropert\w+)\(\s*process\.env\b/
  for (const change of ["process.env.A = 'b'", "process.env['A'] ??= 'b'", 'delete process.env.A'])
    expect(changes.test(change), change).toBe(true)
  for (const use of ["process.env.A === 'b'", 'f(a = process.env)', 'process.env.A ?? b'])
    expect(changes.test(use), use).toBe(false)
  expect(where(changes, SOURCES)).toEqual([])
})

/**
 * Who may name the streams, the arguments and the end of the process, and who its environment and folder: everybody else
 * gets them as values. Each exception with its reason.
 */
const OF_THE_PROCESS: readonly { readonly names: RegExp; readonly may: readonly string[] }[] = [
  {
    names: /\bprocess\s*(?:\.\s*(?:stdin|stdout|stderr|argv|exit|exitCode|on|once)\b|\[)|\bconsole\./,
    may: [
      'src/cli/',
      // Programs that a gate has started are ended with this process, however it ends.
      'src/gate/command-gate.ts',
      // A hook's program ends with its answer, or where its Node is too old; main.ts starts both.
      'server/hooks/embedded.ts',
      'server/hooks/require-node.ts',
      // The service ends by signals.
      'server/service/serve.ts',
    ],
  },
  {
    names: /\bprocess\s*\.\s*(?:env|cwd|chdir)\b/,
    may: [
      'src/cli/main.ts',
      'src/cli/this-caller.ts',
      'src/cli/working-folder.ts',
      // NO_COLOR and TERM.
      'src/cli/output.ts',
    ],
  },
]

test('what is of the process is named by the commands and the mains alone', () => {
  for (const { names, may } of OF_THE_PROCESS) {
    const others = SOURCES.filter(({ path }) => !may.some((one) => path.startsWith(one)))
    expect(where(names, others)).toEqual([])
    // An exception that nobody needs any more is none.
    for (const one of may)
      expect(
        where(
          names,
          SOURCES.filter(({ path }) => path.startsWith(one)),
        ).length,
        one,
      ).toBeGreaterThan(0)
  }
})

test('a use case and its screen are apart: what is of the terminal is not imported from src/app', () => {
  const app = IMPORTS.filter(({ from }) => from.startsWith('src/app/'))
  expect(app.filter(({ to }) => /^(?:node:readline|node:tty|yargs)/.test(to))).toEqual([])
})

test("the decision of a clone's pre-push hook needs nothing of the server", () => {
  const needed = new Set(['src/app/pre-push.ts'])
  for (const path of needed) for (const { from, to } of IMPORTS) if (from === path) needed.add(to)
  expect(needed).toContain('src/core/decide.ts')
  expect([...needed].filter((path) => path.startsWith('server/'))).toEqual([])
})

describe('the core', () => {
  const core = SOURCES.filter(({ path }) => partOf(path) === 'src/core')

  test('imports zod, and in one place each a parser of YAML, canonical JSON, hashes and the version', () => {
    const foreign = IMPORTS.filter(({ from, to }) => {
      if (partOf(from) !== 'src/core' || to.startsWith('src/')) return false
      const allowed = CORE_PACKAGES[to]
      return allowed !== 'any' && !allowed?.includes(from)
    })
    expect(foreign.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
    const parsers = IMPORTS.filter(({ to, typeOnly }) => to === 'yaml' && !typeOnly).map(({ from }) => from)
    expect(parsers).toEqual(['src/core/policy/policy-text.ts'])
  })

  test.for([
    ['clock', /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\b|\bhrtime\b/],
    ['promise', /\bPromise\b|\basync\b|\bawait\b|\.then\(/],
    ['process', /\bprocess\s*[.[]|\bglobalThis\b/],
    ['chance', /\bMath\.random\b|\brandom(?:UUID|Bytes|Int)\b/],
    ['timer', /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/],
    ['console', /\bconsole\b/],
    ['network', /\bfetch\(/],
  ] as [string, RegExp][])('has no %s', ([, pattern]) => {
    expect(where(pattern, core)).toEqual([])
  })
})

describe('every source', () => {
  test(`has at most ${MAX_LINES} lines`, () => {
    const long = SOURCES.filter(({ text }) => text.split('\n').length - 1 > MAX_LINES)
    expect(long.map(({ path }) => path)).toEqual([])
  })

  test.for([
    ['enum', /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s/],
    ['namespace', /^\s*(?:export\s+)?(?:declare\s+)?(?:namespace|module)\s+[\w.]+\s*\{/],
    [
      'parameter property',
      /\bconstructor\s*\((?:[^)]*,)?\s*(?:private|protected|public|readonly)\s+\w+\s*[?:]/,
    ],
    ['default export', /^export default\b/],
  ] as [string, RegExp][])('runs with its types taken away: no %s', ([, pattern]) => {
    expect(where(pattern, SOURCES)).toEqual([])
  })

  test('is named in lower case with dashes, and for what it holds', () => {
    const bad = SOURCES.filter(
      ({ path }) =>
        !/^[a-z0-9/-]+\.ts$/.test(path) || /(?:^|[/-])(?:utils?|helpers?|common|misc|manager)[.-]/.test(path),
    )
    expect(bad.map(({ path }) => path)).toEqual([])
  })
})
