/**
 * `policy.json`: what of a policy decides moves, kept in the ledger beside the text, so that a push is judged without a
 * parser of YAML and its schemas. docs/ledger-format.md describes it.
 *
 * A text has one such file, whichever version of headgate writes it, so that an audit can compare bytes. A key that policies
 * learn one day stands here only where it is not its default; any other change takes the next number of the form.
 */
import { canonicalJson } from '../canonical-json.ts'
import { HeadgateError } from '../errors.ts'
import * as z from '../zod-mini.ts'
import type { Terms } from './policy.ts'

const FORM = 1

const strings = z.array(z.string())
const servedCommit = z.enum(['required', 'if-reported', 'ignore'])
const environment = z.object({
  name: z.enum(['staging', 'production']),
  urls: strings,
  gates: z.array(z.object({ name: z.string(), optional: z.boolean() })),
  configurationDigest: z.string(),
})

const policyFile = z.object({
  form: z.literal(FORM),
  repository: z.string(),
  staging: z.string(),
  release: z.string(),
  guard: z.exactOptional(z.literal('relay')),
  enforcement: z.enum(['enforce', 'evaluate']),
  releaseLog: z.string(),
  evidence: z.object({ maxAgeMs: z.int(), servedCommit }),
  promotion: z.object({
    operators: strings,
    signedPush: z.enum(['required', 'if-offered', 'ignore']),
    notes: z.enum(['required', 'optional']),
  }),
  rollback: z.object({
    approvers: strings,
    approvals: z.int(),
    approverMayPush: z.boolean(),
    approvalMaxAgeMs: z.int(),
    target: z.enum(['smoke-passed', 'landed']),
    bar: z.enum(['commit', 'descendants']),
  }),
  environments: z.object({ staging: environment, production: z.exactOptional(environment) }),
})

/** Canonical JSON and a line break. Of `terms` it has what decides moves, and nothing else. */
export function policyJson(terms: Terms): string {
  return `${canonicalJson(z.parse(policyFile, { form: FORM, ...terms }))}\n`
}

/**
 * Null for a later form, which a newer headgate has written: then the text counts. Throws HeadgateError 'data' for anything
 * else that `policyJson` does not write.
 */
export function parsePolicyJson(text: string): Terms | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new HeadgateError('data', 'is not JSON', { cause })
  }
  if (laterForm.safeParse(value).success) return null
  const parsed = policyFile.safeParse(value)
  // Writing it again finds what parsing lets pass: another order, white space, keys that are not known or come twice.
  if (parsed.success && policyJson(parsed.data) === text) {
    const { form: _, ...terms } = parsed.data
    return terms
  }
  throw new HeadgateError('data', 'is not as headgate writes it', {
    hint: 'the server admin installs the newest headgate that has been at work here, or applies the policy again',
  })
}

const laterForm = z.object({ form: z.int().check(z.gt(FORM)) })
