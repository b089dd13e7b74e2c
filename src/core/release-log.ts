/**
 * The release log: a Markdown file on the staging branch that only grows. Its entries are a heading and a list, as
 * docs/release-log.md describes them:
 *
 *     ## 2026-01-31 12:00:00 UTC: promotion to `3f2c1ab`
 *
 *     - Commit: `3f2c1ab...` (the full id)
 *     - From: `9d0e1f2...`
 *     - Date: 2026-01-31T12:00:00.000Z
 *     ...
 *     - Ledger record: 42
 *
 * An entry has one spelling, and parses back to exactly what it was made of. Whatever else people write into the file is
 * theirs, and left alone.
 */
import { AMENDMENT_HEADING, type LogAmendment, parseAmendment, renderAmendment } from './log-amendment.ts'
import { encodeName, type LoggedRun, parseRun, renderRun } from './logged-run.ts'
import { isOid, type Oid, shortOid } from './oid.ts'
import { decodeLogText, encodeLogText } from './release-log-text.ts'

export type LogEntry = {
  readonly kind: 'promotion' | 'rollback' | 'override'
  readonly commit: Oid
  /** Null where the release branch was created. */
  readonly from: Oid | null
  /** When the server authorized it: UTC, RFC 3339 with milliseconds. */
  readonly at: string
  readonly operator: string
  /** The staging branch when the move was judged. */
  readonly stagingBase: Oid | null
  /** Where the run was made that the promotion rests on; absent where it does not say, and in older entries. */
  readonly stagingUrl?: string
  /** The run that the promotion rests on. */
  readonly stagingGates: LoggedRun | null
  /** The rules that an override waived. */
  readonly waived: readonly string[]
  readonly approvedBy: readonly string[]
  readonly trigger: string | null
  readonly reason: string | null
  readonly symptoms: string | null
  /** The run against production after the move: a promotion's smoke, a rollback's verification. */
  readonly smoke: LoggedRun | null
  /** Where production is: as the smoke test says, else as the policy does. Absent in older entries. */
  readonly productionUrl?: string
  readonly notes: string | null
  readonly plan: string | null
  /** The authorization in the ledger. */
  readonly record: number
}

/** What headgate writes into the log. */
export type LogItem = LogEntry | LogAmendment

export type ParsedLog = {
  /** In the order of the file; `line` is that of the heading, counted from 1. */
  readonly entries: readonly { readonly line: number; readonly entry: LogEntry }[]
  readonly amendments: readonly { readonly line: number; readonly amendment: LogAmendment }[]
  /** Headings of entries whose entry is not as headgate writes it. */
  readonly problems: readonly { readonly line: number; readonly message: string }[]
}

/** What a new log begins with. */
const PREAMBLE = `# Release log

Every move of the release branch, in the order in which it was written down. Entries are made by
\`headgate promote\` and \`headgate rollback\`, and nothing here is ever changed: new lines go below the last.
`

/**
 * Whether `after` is `before` with something appended: every byte of `before` stays, and what is new begins on a line
 * of its own, so that the last entry cannot be changed by lengthening it.
 */
export function isAppend(before: Uint8Array, after: Uint8Array): boolean {
  if (after.length < before.length) return false
  if (Buffer.compare(before, after.subarray(0, before.length)) !== 0) return false
  if (after.length === before.length || before.length === 0) return true
  return before.at(-1) === NEWLINE || after[before.length] === NEWLINE
}

const NEWLINE = 0x0a

/** The log with entries below its last line; `before` is empty where there is no log yet. */
export function appendEntries(before: Uint8Array, items: readonly LogItem[]): Buffer {
  const start = before.length === 0 ? Buffer.from(PREAMBLE) : Buffer.from(before)
  const gap = start.at(-1) === NEWLINE ? '\n' : '\n\n'
  return Buffer.concat([start, Buffer.from(gap + items.map(renderItem).join('\n'))])
}

function renderItem(item: LogItem): string {
  return item.kind === 'smoke' ? renderAmendment(item) : renderEntry(item)
}

/** One entry, with the line break at its end. */
export function renderEntry(entry: LogEntry): string {
  const { kind, commit, at } = entry
  const heading = `## ${at.slice(0, 10)} ${at.slice(11, 19)} UTC: ${kind} to \`${shortOid(commit)}\``
  const items = FIELDS.flatMap(({ label, write }) => {
    const text = write(entry)
    return text === null ? [] : [`- ${label}: ${text}`]
  })
  return `${[heading, '', ...items].join('\n')}\n`
}

/** Reads every entry of a log. Never throws: what is not as headgate writes it is a problem, with its line. */
export function parseReleaseLog(bytes: Uint8Array): ParsedLog {
  const lines = Buffer.from(bytes).toString('utf8').split('\n')
  const entries: { line: number; entry: LogEntry }[] = []
  const amendments: { line: number; amendment: LogAmendment }[] = []
  const problems: { line: number; message: string }[] = []
  for (const [index, heading] of lines.entries()) {
    if (AMENDMENT_HEADING.test(heading)) {
      const amendment = parseAmendment(lines.slice(index, index + 6))
      if (typeof amendment === 'string') problems.push({ line: index + 1, message: amendment })
      else amendments.push({ line: index + 1, amendment })
      continue
    }
    if (!HEADING.test(heading)) continue
    const line = index + 1
    const items = lines.slice(index + 2, index + 2 + FIELDS.length + 1)
    const end = items.findIndex((item) => !item.startsWith('- '))
    const block = [heading, lines[index + 1] ?? '', ...items.slice(0, end === -1 ? undefined : end)]
    const entry = parseItems(heading, block.slice(2))
    if (typeof entry === 'string') problems.push({ line, message: entry })
    // One spelling only: whatever was changed by hand, it shows here.
    else if (renderEntry(entry) !== `${block.join('\n')}\n`)
      problems.push({ line, message: 'is not as headgate writes it' })
    else entries.push({ line, entry })
  }
  return { entries, amendments, problems }
}

/** Whatever begins like an entry must be one, else a damaged entry would pass for prose. */
const HEADING = /^##\s+\d{4}-\d\d-\d\d\b.*\b(?:promotion|rollback|override)\b/

function parseItems(heading: string, items: readonly string[]): LogEntry | string {
  const kind = /: (promotion|rollback|override) to `[0-9a-f]{7}`$/.exec(heading)?.[1]
  if (kind === undefined) return 'has a heading that is not as headgate writes it'
  const texts = new Map<string, string>()
  for (const item of items) {
    const [, label = '', text = ''] = /^- ([A-Z][A-Za-z -]*): (.*)$/.exec(item) ?? []
    if (texts.has(label)) return `says "${label}" twice`
    texts.set(label, text)
  }
  const entry: Record<string, unknown> = { kind }
  for (const { label, key, read } of FIELDS) {
    const text = texts.get(label)
    // A run after the move has a label for each kind of move.
    if (entry[key] !== undefined && text === undefined) continue
    const value = read(text)
    if (value === undefined) return `has no proper "${label}"`
    if (value !== NOTHING) entry[key] = value
  }
  return entry as LogEntry
}

type Field = {
  readonly label: string
  readonly key: keyof LogEntry
  /** Null leaves the line out. */
  readonly write: (entry: LogEntry) => string | null
  /** Undefined where the text, or its absence, cannot be; NOTHING where the entry has no such key. */
  readonly read: (text: string | undefined) => unknown
}

const NOTHING = Symbol('nothing')
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const NOT_RECORDED = 'not recorded'

const oidField = (label: string, key: 'commit' | 'from', required: boolean): Field => ({
  label,
  key,
  write: (entry) => (entry[key] === null ? null : `\`${entry[key]}\``),
  read: (text) => {
    if (text === undefined) return required ? undefined : null
    const oid = text.slice(1, -1)
    return isOid(oid) ? oid : undefined
  },
})

const proseField = (
  label: string,
  key: 'trigger' | 'reason' | 'symptoms' | 'notes' | 'plan' | 'operator',
): Field => ({
  label,
  key,
  write: (entry) => (entry[key] === null ? null : encodeLogText(entry[key])),
  read: (text) => (text === undefined ? (key === 'operator' ? undefined : null) : decodeLogText(text)),
})

const namesField = (label: string, key: 'waived' | 'approvedBy'): Field => ({
  label,
  key,
  write: (entry) => (entry[key].length === 0 ? null : entry[key].map(encodeName).join(', ')),
  read: (text) => (text === undefined ? [] : text.split(', ').map(decodeLogText)),
})

/** A smoke test that nobody recorded is worth a line; evidence that a rollback never needed is not. */
const runField = (
  label: string,
  key: 'stagingGates' | 'smoke',
  applies: (kind: LogEntry['kind']) => boolean,
): Field => ({
  label,
  key,
  write: (entry) => {
    const run = entry[key]
    if (!applies(entry.kind)) return null
    return run === null ? NOT_RECORDED : renderRun(run)
  },
  read: (text) => (text === undefined || text === NOT_RECORDED ? null : parseRun(text)),
})

/** `<commit>` at <URL>: one line, two keys. */
const STAGING_BASE = /^`([0-9a-f]+)`(?: at (.+))?$/
const STAGING_FIELDS: readonly Field[] = [
  {
    label: 'Staging base',
    key: 'stagingBase',
    write: ({ stagingBase, stagingUrl }) => {
      if (stagingBase === null) return null
      return `\`${stagingBase}\`${stagingUrl === undefined ? '' : ` at ${encodeLogText(stagingUrl)}`}`
    },
    read: (text) => {
      if (text === undefined) return null
      const [, oid = ''] = STAGING_BASE.exec(text) ?? []
      return isOid(oid) ? oid : undefined
    },
  },
  {
    label: 'Staging base',
    key: 'stagingUrl',
    write: () => null,
    read: (text) => {
      const url = STAGING_BASE.exec(text ?? '')?.[2]
      return url === undefined ? NOTHING : decodeLogText(url)
    },
  },
]

/** In the order in which they are written. */
const FIELDS: readonly Field[] = [
  oidField('Commit', 'commit', true),
  oidField('From', 'from', false),
  {
    label: 'Date',
    key: 'at',
    write: ({ at }) => at,
    read: (text) => (text !== undefined && TIME.test(text) ? text : undefined),
  },
  proseField('Operator', 'operator'),
  ...STAGING_FIELDS,
  runField('Staging gates', 'stagingGates', (kind) => kind !== 'rollback'),
  namesField('Waived rules', 'waived'),
  namesField('Approved by', 'approvedBy'),
  proseField('Trigger', 'trigger'),
  proseField('Reason', 'reason'),
  proseField('Symptoms', 'symptoms'),
  {
    label: 'Production base',
    key: 'productionUrl',
    write: ({ productionUrl }) => (productionUrl === undefined ? null : encodeLogText(productionUrl)),
    read: (text) => (text === undefined ? NOTHING : decodeLogText(text)),
  },
  runField('Production smoke', 'smoke', (kind) => kind !== 'rollback'),
  runField('Post-rollback verification', 'smoke', (kind) => kind === 'rollback'),
  proseField('Rollout notes', 'notes'),
  proseField('Rollback plan', 'plan'),
  {
    label: 'Ledger record',
    key: 'record',
    write: ({ record }) => String(record),
    read: (text) => positive(text),
  },
]

function positive(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined
}
