/** What the documents show is there: pages and headings that they link to, commands and options, keys and policies. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { AUDIT_RULES, type AuditRuleText } from '../src/audit/finding.ts'
import { parsePolicy } from '../src/core/policy/policy-yaml.ts'
import { RULE_NAMES } from '../src/core/verdict.ts'
import { PROGRAM } from './make-repository.ts'

const ROOT = resolve(import.meta.dirname, '..')
const PAGES = [
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...pagesOf('docs'),
  ...pagesOf('docs/decisions'),
]

function pagesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`)
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8')
}

function blocks(page: string): { language: string; text: string }[] {
  return [...read(page).matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    text,
  }))
}

/** As GitHub and GitLab name the headings of a page. */
function anchors(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

test.each(PAGES)('%s links to pages and headings that exist', (page) => {
  const prose = read(page).replace(/^```.*?^```$/gms, '')
  for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target)) continue
    const [path = '', anchor] = target.split('#')
    const linked = path === '' ? page : join(dirname(page), path)
    expect(existsSync(join(ROOT, linked)), `${page}: ${target}`).toBe(true)
    if (anchor !== undefined) expect(anchors(linked), `${page}: ${target}`).toContain(anchor)
  }
})

test('every page of the documents is listed in README.md', () => {
  for (const page of [...pagesOf('docs'), 'SECURITY.md', 'CONTRIBUTING.md', 'docs/decisions/README.md'])
    expect(read('README.md')).toContain(`](${page})`)
  for (const page of pagesOf('docs/decisions').filter((name) => !name.endsWith('/README.md')))
    expect(read('docs/decisions/README.md')).toContain(`](${basename(page)})`)
})

/** In operations.md such names are those of a guarded repository. */
test.each(PAGES.filter((page) => !['CHANGELOG.md', 'docs/operations.md'].includes(page)))(
  '%s names files that exist',
  (page) => {
    for (const [, path = ''] of read(page).matchAll(
      /(?:^|`)((?:src|server|hooks|test|bench)\/[\w./-]+)(?![\w./*-])/gm,
    ))
      if (!path.includes('NAME')) expect(existsSync(join(ROOT, path)), `${page}: ${path}`).toBe(true)
  },
)

test('every rule has its place in the rules reference', () => {
  for (const rule of RULE_NAMES) expect(read('docs/rules-reference.md')).toContain(`| [\`${rule}\`](#`)
})

describe('every command and option that is shown exists', () => {
  const helps = new Map<string, string>()
  const help = (words: readonly string[]): string => {
    const name = words.join(' ')
    const known = helps.get(name)
    if (known !== undefined) return known
    const ran = spawnSync(process.execPath, [PROGRAM, ...words, '--help'], { encoding: 'utf8' })
    const text = ran.status === 0 ? ran.stdout : ''
    helps.set(name, text)
    return text
  }
  const groups = ['server', 'policy', 'key', 'evidence', 'hook']

  test.each(PAGES.filter((page) => page !== 'CHANGELOG.md'))('%s', (page) => {
    const shown = blocks(page)
      .filter(({ language }) => ['sh', 'yaml', 'text', ''].includes(language))
      .flatMap(({ language, text }) =>
        [...text.replaceAll('\\\n', ' ').matchAll(/(?<![\w/."=~-])headgate ([a-z].*)$/gm)].map(
          ([, rest = '']) => ({ language, words: rest.replace(/ +#.*$|[;&|>)].*$/, '').split(/\s+/) }),
        ),
      )
    for (const { language, words } of shown) {
      const count = groups.includes(words[0] ?? '') ? 2 : 1
      const command = words.slice(0, count)
      // Outside of commands a sentence may begin with the program's name.
      const isSentence = language !== 'sh' && !help([]).includes(`headgate ${command[0]} `)
      if (isSentence) continue
      const text = help(command)
      expect(text, `${page}: headgate ${words.join(' ')}`).toContain(`headgate ${command.join(' ')}`)
      for (const word of words.slice(count)) {
        const [option] = /^--[a-z][a-z-]*/.exec(word) ?? []
        if (option !== undefined)
          expect(text, `${page}: headgate ${words.join(' ')}`).toMatch(new RegExp(`${option}\\b`))
      }
    }
  })
})

const SKELETON = `version: 1
repository: git.example.com/app
staging: main
release: release
promotion: { operators: [alice] }
evidence: { servedCommit: if-reported }
environments:
  staging:
    url: https://staging.example.com
    gates:
      - { name: login, get: /login, expect: { status: 200 } }
`

test.each(['README.md', 'docs/policy-reference.md'])('every policy in %s is valid', (page) => {
  const yaml = blocks(page).filter(({ language }) => language === 'yaml')
  expect(yaml.length).toBeGreaterThan(0)
  for (const { text } of yaml) {
    const gates = text.startsWith('- ')
      ? text
      : `- name: secret\n  post: /\n  expect: { status: 200 }\n${text.replace(/^/gm, '  ').replace(/ +$/, '')}`
    const twice = gates.includes('name: login') ? SKELETON.replace('name: login', 'name: other') : SKELETON
    const whole = text.startsWith('version:') ? text : `${twice}${gates.replace(/^(?=.)/gm, '      ')}`
    expect(() => parsePolicy(whole), whole).not.toThrow()
  }
})

test('the policy reference has every key of the schema', () => {
  const reference = read('docs/policy-reference.md')
  const keys = new Set<string>()
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const { properties } = value as { properties?: object }
    for (const key of Object.keys(properties ?? {})) keys.add(key)
    for (const part of Object.values(value)) visit(part)
  }
  visit(JSON.parse(read('docs/policy.schema.json')))
  expect(keys.size).toBeGreaterThan(40)
  for (const key of keys) expect(reference, key).toMatch(new RegExp(`[\`{ ]${key}[\`:]`))
})

test('the ledger format lists every check, and what makes an exception and a note of it', () => {
  const rows = Object.entries(AUDIT_RULES).map(([name, rule]: [string, AuditRuleText]) => {
    const group = rule.broken ? 'ledger' : 'rules'
    return `| \`${name}\` | ${group} | ${rule.says} | ${rule.exceptions ?? ''} | ${rule.notes ?? ''} |`
  })
  expect(read('docs/ledger-format.md')).toContain(
    [
      '| check | group | must be true | exception | note |',
      '| --- | --- | --- | --- | --- |',
      ...rows,
      '',
    ].join('\n'),
  )
})
