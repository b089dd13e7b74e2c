/** The first `.headgate/` of a project: a policy that passes `policy check`, with comments on what to change. */

export function startingPolicy({ repository }: { readonly repository: string }): {
  readonly policy: string
  readonly allowedSigners: string
} {
  return {
    policy: `# What headgate asks of a commit before it becomes the release. docs/policy-reference.md has every key.
# It is in force once the server admin has applied it: headgate policy apply REPO.git
version: 1
repository: ${repository}
staging: main
release: release
# Who may push the release branch, by the names that the server knows people by.
promotion: { operators: [alice] }
# Who may sign the permission for a rollback.
rollback: { approvers: [alice] }
environments:
  staging:
    url: https://staging.example.com
    # Where the application says which commit it runs: {"commit": "<full id>"}
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200 } }
`,
    allowedSigners: `# Whose signatures count, one key a line (ssh-keygen(1), ALLOWED SIGNERS). These commands print such lines:
#   headgate key generate ci_key    --for evidence      --principal ci@example.com
#   headgate key generate alice_key --for approval,push --principal alice
`,
  }
}
