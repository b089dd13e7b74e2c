/** The options of a line of allowed_signers: `cert-authority,namespaces="git",valid-after="20260101Z"`. */
import { HeadgateError } from '../core/errors.ts'
import { printable } from '../core/printable.ts'
import { parsePatternList } from './pattern-list.ts'

export type LineOptions = {
  /** The key signs certificates; it is not trusted for data. */
  readonly certAuthority: boolean
  /** Patterns; without them the key is trusted in every namespace, as in OpenSSH. */
  readonly namespaces?: readonly string[]
  /** Milliseconds since the epoch. The key is good from this second on. */
  readonly validAfter?: number
  /** Milliseconds since the epoch. The key is good up to and including this second. */
  readonly validBefore?: number
}

/** Names are matched without regard to case; each may stand once. Throws HeadgateError 'data'. */
export function parseLineOptions(text: string): LineOptions {
  const values = new Map<string, string>()
  let rest = text
  while (rest !== '') {
    const [option, name = '', quoted] = /^([^=",]*)(?:="([^"\\]*)")?/.exec(rest) ?? ['']
    const key = name.toLowerCase()
    const takesValue = TAKES_VALUE.get(key)
    if (takesValue === undefined) throw problem(`unknown option ${JSON.stringify(printable(name, 60))}`)
    if (takesValue !== (quoted !== undefined)) {
      throw problem(
        takesValue ? `option ${key} needs a value in double quotes` : `option ${key} takes no value`,
      )
    }
    if (values.has(key)) throw problem(`option ${key} is given twice`)
    values.set(key, quoted ?? '')
    const end = rest.slice(option.length)
    if (end !== '' && !/^,./.test(end))
      throw problem(`option ${key} must be followed by a comma and another option`)
    rest = end.slice(1)
  }
  return optionsFrom(values)
}

const TAKES_VALUE = new Map([
  ['cert-authority', false],
  ['namespaces', true],
  ['valid-after', true],
  ['valid-before', true],
])

function optionsFrom(values: ReadonlyMap<string, string>): LineOptions {
  const namespaces = values.get('namespaces')
  const validAfter = timeOption(values, 'valid-after')
  const validBefore = timeOption(values, 'valid-before')
  if (validAfter !== undefined && validBefore !== undefined && validBefore <= validAfter) {
    throw problem('valid-before is not after valid-after')
  }
  return {
    certAuthority: values.has('cert-authority'),
    ...(namespaces === undefined
      ? {}
      : { namespaces: parsePatternList(namespaces, 'the list of namespaces') }),
    ...(validAfter === undefined ? {} : { validAfter }),
    ...(validBefore === undefined ? {} : { validBefore }),
  }
}

/** YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with or without Z, always UTC. */
function timeOption(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = values.get(name)
  if (text === undefined) return undefined
  const match = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?Z?$/.exec(text)
  if (match === null) throw problem(`${name} is not of the form YYYYMMDDZ or YYYYMMDDHHMMSSZ`)
  const [, year, month, day, hour = '00', minute = '00', second = '00'] = match
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`
  const time = Date.parse(iso)
  // The 30th of February would become the 2nd of March; OpenSSH refuses zero and what is before the epoch.
  if (!(time > 0) || new Date(time).toISOString() !== iso) throw problem(`${name} is not a date`)
  return time
}

function problem(message: string): HeadgateError {
  return new HeadgateError('data', message)
}
