/** How the file of a policy must be shaped, key by key: the source of the errors and of the published JSON Schema. */
import * as z from '../zod-mini.ts'
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
    url: problem(baseUrlProblem).check(
      z.describe('Base URL, http or https, without credentials; may end in a path prefix.'),
    ),
    urls: z.optional(
      z
        .array(problem(baseUrlProblem))
        .check(
          z.minLength(1),
          z.maxLength(64),
          z.describe('Further base URLs of the same environment: a run against one of them counts as well.'),
        ),
    ),
    servedCommit: z.optional(
      section('Where the environment reports the full id of the commit that it runs.', {
        get: requestPath.check(z.describe('Path that answers with JSON.')),
        json: jsonPath.check(z.describe('Dotted path to the commit id in that JSON.')),
      }),
    ),
    headers: z.optional(
      sentHeaders.check(
        z.describe(
          'Headers of every request, such as the authorization of an environment that is not public.',
        ),
      ),
    ),
    // 64 gates with the longest reasons still fit into the 64 KiB that an evidence envelope may have.
    gates: z
      .array(gate)
      .check(
        z.minLength(1),
        z.maxLength(64),
        z.describe('The checks. They run at once, bursts after the others.'),
      ),
  })

/** The file, key by key. Its output carries the defaults that depend on nothing else. */
export const policyFile = section('The policy of a repository that headgate guards.', {
  version: z
    .literal(1, { error: 'must be 1, the only version of this file' })
    .check(z.describe('Version of this file format.')),
  repository: z
    .string()
    .check(
      z.maxLength(255),
      z.regex(
        /^[A-Za-z0-9][A-Za-z0-9._:/~+-]*$/,
        'must be a name like git.example.com/app, without user or password',
      ),
      z.describe('Binds evidence and approvals to this repository; any unique name, by habit host and path.'),
    ),
  staging: problem(branchProblem).check(z.describe('Short name of the branch that deploys to staging.')),
  release: problem(branchProblem).check(z.describe('Short name of the branch that deploys to production.')),
  guard: z._default(
    z
      .enum(['hooks', 'relay'])
      .check(
        z.describe(
          "Who keeps the rules: headgate's hooks on the server, or a relay that alone may move the release branch of a host without hooks.",
        ),
      ),
    'hooks',
  ),
  enforcement: z._default(
    z
      .enum(['enforce', 'evaluate'])
      .check(z.describe('evaluate judges, records and reports, but refuses nothing.')),
    'enforce',
  ),
  releaseLog: z._default(
    problem((path) =>
      /^(?:(?!\.{1,2}(?:\/|$)|\.git(?:\/|$))[^/\\:*?"<>|\p{C}]+(?:\/(?!$)|$))+$/iu.test(path) &&
      path.length <= 255
        ? null
        : 'must be a relative path inside the repository, without ".."',
    ).check(z.describe('The log on the staging branch that may only be appended to.')),
    'docs/RELEASE_LOG.md',
  ),
  evidence: z.prefault(
    section('What evidence must be to count.', {
      maxAge: z.prefault(duration('How old the evidence may be when the release branch moves.'), '24h'),
      servedCommit: z._default(
        z
          .enum(['required', 'if-reported', 'ignore'])
          .check(
            z.describe(
              'Whether the environment must have reported serving the commit, before and after the gates.',
            ),
          ),
        'required',
      ),
    }),
    {},
  ),
  promotion: section('Who promotes.', {
    operators: principals.check(
      z.describe('Who may move the release branch, by the names in allowed_signers.'),
    ),
    signedPush: z._default(
      z
        .enum(['required', 'if-offered', 'ignore'])
        .check(z.describe('Whether a move must come with a push certificate (git push --signed).')),
      'if-offered',
    ),
    notes: z._default(
      z
        .enum(['required', 'optional'])
        .check(z.describe('Whether a promotion must come with a note (git push -o note=TEXT).')),
      'optional',
    ),
  }),
  rollback: z.prefault(
    section('Who permits going back, and to what.', {
      approvers: z.optional(principals.check(z.describe('Whose approvals count. Default: the operators.'))),
      approvals: z._default(
        z
          .int()
          .check(z.minimum(1), z.maximum(100), z.describe('Approvals needed, each by another approver.')),
        1,
      ),
      approverMayPush: z._default(
        z.boolean().check(z.describe("If false, the pusher's own approval does not count.")),
        true,
      ),
      approvalMaxAge: z.prefault(duration('How old an approval may be.'), '1h'),
      target: z.optional(
        z
          .enum(['smoke-passed', 'landed'])
          .check(
            z.describe(
              'What a release must have done to be gone back to. Default: smoke-passed with a production environment, else landed.',
            ),
          ),
      ),
      bar: z._default(
        z
          .enum(['commit', 'descendants'])
          .check(
            z.describe(
              'What a rollback bars besides the commit in other clothes: commit, nothing; descendants, what contains it and is not pushed with despite-bar=COMMIT.',
            ),
          ),
        'commit',
      ),
    }),
    {},
  ),
  environments: section('What is checked, and how.', {
    staging: environment('The environment that the staging branch deploys to; its gates make the evidence.'),
    production: z.optional(
      environment('The environment that the release branch deploys to; its gates are the smoke test.'),
    ),
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
