/** A gate run in the release log. */
import { decodeLogText, encodeLogText } from './release-log-text.ts'

/** A gate run as the ledger has it. */
export type LoggedRun = {
  readonly result: 'PASSED' | 'WARNED' | 'FAILED'
  /** UTC, RFC 3339 with milliseconds. */
  readonly finishedAt: string
  readonly record: number
  readonly by: string
  readonly gates: readonly { readonly name: string; readonly outcome: 'passed' | 'failed' | 'skipped' }[]
}

/** `PASSED at <time>, record 31, by ci: health passed, chat passed`. */
export function renderRun({ result, finishedAt, record, by, gates }: LoggedRun): string {
  const list = gates.map(({ name, outcome }) => `${encodeName(name)} ${outcome}`)
  return `${result} at ${finishedAt}, record ${record}, by ${encodeName(by)}: ${list.join(', ') || 'no gates'}`
}

export function parseRun(text: string): LoggedRun | undefined {
  const match = /^(PASSED|WARNED|FAILED) at (\S+), record (\d+), by ([^:,]*): (.*)$/.exec(text)
  if (match === null) return undefined
  const [, result = '', finishedAt = '', record, by = '', list = ''] = match
  const gates: { name: string; outcome: 'passed' }[] = []
  for (const item of list === 'no gates' ? [] : list.split(', ')) {
    const [, name, outcome] = /^(.+) (passed|failed|skipped)$/.exec(item) ?? []
    if (name === undefined || outcome === undefined) return undefined
    gates.push({ name: decodeLogText(name), outcome: outcome as 'passed' })
  }
  const number = /^[1-9]\d{0,14}$/.test(record ?? '') ? Number(record) : undefined
  if (!TIME.test(finishedAt) || number === undefined) return undefined
  return { result: result as 'PASSED', finishedAt, record: number, by: decodeLogText(by), gates }
}

/** In a list, and before the colon that a list follows. */
export function encodeName(name: string): string {
  return encodeLogText(name, ',:')
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
