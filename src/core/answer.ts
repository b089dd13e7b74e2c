/**
 * What a relay says of a statement that it did not take, as the payload of a DSSE envelope that its seal key signs. It is
 * a message and no record: it stands in a ref of the host for a day, and never in the ledger.
 */
import { HeadgateError } from './errors.ts'
import { STATEMENT_TYPE } from './statement.ts'
import { parseUniqueJson } from './unique-json.ts'
import * as z from './zod-mini.ts'

export const ANSWER_TYPE = 'urn:headgate:answer:v1'

const line = z.string().check(z.maxLength(2000))

const answerSchema = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z.tuple([
    z.object({ name: z.string().check(z.maxLength(1024)), digest: z.object({ sha256: line }) }),
  ]),
  predicateType: z.literal(ANSWER_TYPE),
  predicate: z.object({
    /** When it was said, RFC 3339. */
    at: z.iso.datetime({ offset: true }),
    verdict: z.enum(['refused', 'undecided']),
    rules: z.array(line).check(z.maxLength(32)),
    /** What a person reads. */
    lines: z.array(line).check(z.maxLength(200)),
  }),
})

export type Answer = {
  readonly repository: string
  /** SHA-256 of the envelope that it answers, which names its ref. */
  readonly about: string
  readonly at: string
  readonly verdict: 'refused' | 'undecided'
  readonly rules: readonly string[]
  readonly lines: readonly string[]
}

export function answerPayload({ repository, about, at, verdict, rules, lines }: Answer): string {
  const short = (text: string) => text.slice(0, 2000)
  return JSON.stringify({
    _type: STATEMENT_TYPE,
    subject: [{ name: repository, digest: { sha256: about } }],
    predicateType: ANSWER_TYPE,
    predicate: { at, verdict, rules: rules.slice(0, 32), lines: lines.slice(0, 200).map(short) },
  })
}

/** Call it only on bytes whose signature is checked. Throws HeadgateError 'data'. */
export function parseAnswer(payload: Uint8Array): Answer {
  const parsed = answerSchema.safeParse(parseUniqueJson(payload, 'answer'))
  if (!parsed.success) throw new HeadgateError('data', 'the answer is not one of a relay')
  const { subject, predicate } = parsed.data
  const [{ name, digest }] = subject
  return { repository: name, about: digest.sha256, ...predicate }
}
