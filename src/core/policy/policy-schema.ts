/** How the file of a policy must be shaped, key by key: the source of the errors and of the published JSON Schema. */
import * as z from 'zod'
import { baseUrlProblem } from './base-url.ts'
import { gate, sentHeaders } from './policy-gate-schema.ts'
import {
  branchProblem,
  duration,
  jsonPath,
  principals,
  problem,
  requestPath,
  section,
} from './policy-words.ts'

const environment = (description: string) =>
  section(description, {
    url: problem(baseUrlProblem).describe(
      'Base URL, http or https, without credentials; may end in a path prefix.',
    ),
    urls: z
      .array(problem(baseUrlProblem))
      .min(1)
      .max(64)
      .describe('Further base URLs of the same environment: a run against one of them counts as well.')
      .optional(),
    servedCommit: section('Where the environment reports the full id of the commit that it runs.', {
      get: requestPath.describe('Path that answers with JSON.'),
      json: jsonPath.describe('Dotted path to the commit id in that JSON.'),
    }).optional(),
    headers: sentHeaders
      .describe('Headers of every request, such as the authorization of an environment that is not public.')
      .optional(),
    // 64 gates with the longest reasons still fit into the 64 KiB that an evidence envelope may have.
    gates: z.array(gate).min(1).max(64).describe('The checks. They run at once, bursts after the others.'),
  })

/** The file, key by key. Its output carries the defaults that depend on nothing else. */
export const policyFile = section('The policy of a repository that headgate guards.', {
  version: z
    .literal(1, { error: 'must be 1, the only version of this file' })
    .describe('Version of this file format.'),
  repository: z
    .string()
    .max(255)
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._:/~+-]*$/,
      'must be a name like git.example.com/app, without user or password',
    )
    .describe('Binds evidence and approvals to this repository; any unique name, by habit host and path.'),
  staging: problem(branchProblem).describe('Short name of the branch that deploys to staging.'),
  release: problem(branchProblem).describe('Short name of the branch that deploys to production.'),
  enforcement: z
    .enum(['enforce', 'evaluate'])
    .describe('evaluate judges, records and reports, but refuses nothing.')
    .default('enforce'),
  releaseLog: problem((path) =>
    /^(?:(?!\.{1,2}(?:\/|$)|\.git(?:\/|$))[^/\\:*?"<>|\p{C}]+(?:\/(?!$)|$))+$/iu.test(path) &&
    path.length <= 255
      ? null
      : 'must be a relative path inside the repository, without ".."',
  )
    .describe('The log on the staging branch that may only be appended to.')
    .default('docs/RELEASE_LOG.md'),
  evidence: section('What evidence must be to count.', {
    maxAge: duration('How old the evidence may be when the release branch moves.').prefault('24h'),
    servedCommit: z
      .enum(['required', 'if-reported', 'ignore'])
      .describe('Whether the environment must have reported serving the commit, before and after the gates.')
      .default('required'),
  }).prefault({}),
  promotion: section('Who promotes.', {
    operators: principals.describe('Who may move the release branch, by the names in allowed_signers.'),
    signedPush: z
      .enum(['required', 'if-offered', 'ignore'])
      .describe('Whether a move must come with a push certificate (git push --signed).')
      .default('if-offered'),
    notes: z
      .enum(['required', 'optional'])
      .describe('Whether a promotion must come with a note (git push -o note=TEXT).')
      .default('optional'),
  }),
  rollback: section('Who permits going back, and to what.', {
    approvers: principals.describe('Whose approvals count. Default: the operators.').optional(),
    approvals: z.int().min(1).max(100).describe('Approvals needed, each by another approver.').default(1),
    approverMayPush: z
      .boolean()
      .describe("If false, the pusher's own approval does not count.")
      .default(true),
    approvalMaxAge: duration('How old an approval may be.').prefault('1h'),
    target: z
      .enum(['smoke-passed', 'landed'])
      .describe(
        'What a release must have done to be gone back to. Default: smoke-passed with a production environment, else landed.',
      )
      .optional(),
    bar: z
      .enum(['commit', 'descendants'])
      .describe(
        'What a rollback bars besides the commit in other clothes: commit, nothing; descendants, what contains it and is not pushed with despite-bar=COMMIT.',
      )
      .default('commit'),
  }).prefault({}),
  environments: section('What is checked, and how.', {
    staging: environment('The environment that the staging branch deploys to; its gates make the evidence.'),
    production: environment(
      'The environment that the release branch deploys to; its gates are the smoke test.',
    ).optional(),
  }),
})

/** JSON Schema (draft 7, which every editor reads) of the policy file; published as docs/policy.schema.json. */
export function policyJsonSchema(): object {
  const schema = z.toJSONSchema(policyFile, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema }) => {
      // What needs two keys the schema's own language can say only for gates: a request has an expectation.
      const { properties = {} } = jsonSchema
      if ('run' in properties && 'expect' in properties)
        jsonSchema.anyOf = [{ required: ['run'] }, { required: ['expect'] }]
    },
  })
  return { title: 'headgate policy', ...schema }
}
