/**
 * Which test files start no process and open no connection: those from which no import leads to what could. Nobody keeps a
 * list of them, so that a new test belongs where it belongs from its first run.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const STARTS_OR_CONNECTS = /^(?:node:)?(?:child_process|cluster|net|tls|https?|http2|dgram)$/
/** Packages that do so; what others do is of no interest to a test of pure code. */
const PACKAGES_THAT_DO = /^(?:undici|simple-git|@hono\/node-server)(?:\/|$)/

export function filesWithoutProcesses(): string[] {
  return readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('test', name))
    .filter((name) => name.endsWith('.test.ts') && !leadsToProcesses(name))
    .sort()
}

function leadsToProcesses(test: string): boolean {
  const files = new Set([test])
  for (const path of files) {
    for (const to of importsOf(path)) {
      if (STARTS_OR_CONNECTS.test(to) || PACKAGES_THAT_DO.test(to)) return true
      if (to.startsWith('.')) files.add(normalize(join(dirname(path), to)))
    }
  }
  return false
}

const read = new Map<string, readonly string[]>()

/** What a file imports when it runs: types are gone by then. */
function importsOf(path: string): readonly string[] {
  const found = read.get(path) ?? readImports(path)
  read.set(path, found)
  return found
}

function readImports(path: string): string[] {
  const file = join(ROOT, path)
  if (!path.endsWith('.ts') || !existsSync(file)) return []
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const statements = text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)
  const calls = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)
  const builtins = text.matchAll(/\bgetBuiltinModule\(\s*['"]([^'"]+)['"]/g)
  return [...statements, ...calls, ...builtins].map(([, to = '']) => to)
}
