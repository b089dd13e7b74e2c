/**
 * The policy that a repository begins with: what a staging-first workflow wants proved before a promotion and after it,
 * commented, with placeholders for what only its owner knows.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageFolder } from '../guard/package-folder.ts'

export type StartingPolicy = {
  /** The text of `.headgate/policy.yaml`; it is valid as it is. */
  readonly policy: string
  /** The text of `.headgate/allowed_signers`; its keys are placeholders, and `policy check` refuses it until they are not. */
  readonly allowedSigners: string
}

/** The published JSON Schema, as it lies in the package. */
export function policySchemaText(): string {
  return readFileSync(join(packageFolder(), 'docs', SCHEMA_FILE), 'utf8')
}

export const SCHEMA_FILE = 'policy.schema.json'

/** `repository` is a name as the policy takes it, such as git.example.com/app. */
export function startingPolicy({ repository }: { readonly repository: string }): StartingPolicy {
  return { policy: policyText(repository), allowedSigners: ALLOWED_SIGNERS }
}

function policyText(repository: string): string {
  return `# yaml-language-server: $schema=${SCHEMA_FILE}
# What must be proved before the release branch moves, and who may move it.
# Every key is described in docs/policy-reference.md of headgate. After an edit: headgate policy check
version: 1

# Binds evidence and approvals to this repository. Any unique name; by habit host and path.
repository: ${repository}

# The branch that deploys to staging, and the one that deploys to production.
staging: main
release: release

# "evaluate" judges and reports, and refuses nothing: good for the first days. Then "enforce".
enforcement: enforce

# Evidence counts for a day, and only if staging said before and after the gates that it runs the very commit.
evidence: { maxAge: 24h, servedCommit: required }

# Who may promote, by the names in allowed_signers, and that each promotion says what it is about: promote --note TEXT.
promotion: { operators: [alice], notes: required }

# Who may permit a way back, and to what: releases that passed the smoke test of production.
rollback: { approvers: [alice], approvals: 1, approvalMaxAge: 1h, target: smoke-passed }

environments:
  staging:
    # MODE=staging BASE=https://... headgate gate   runs these gates against another address.
    url: https://staging.example.com
    # The application reports the full id of the commit that it was built from.
    servedCommit: { get: /health, json: commit }
    # Where staging is not public, for every request; CI has the value in an environment variable:
    # headers: { authorization: { env: HEADGATE_GATE_DOOR, prefix: "Basic " } }
    gates:
      # It is up, knows which environment it is, and shows nobody its errors (APP_ENV, DEBUG_ERRORS).
      - name: health
        get: /health
        expect: { status: 200, json: { app_env: staging, debug_errors: false } }

      # It is connected to a database of staging, and to no other.
      - name: db-health
        get: /db/health
        expect: { status: 200, json: { host: { oneOf: [db.staging.internal] } } }

      - name: whoami
        get: /auth/whoami
        # With a token, which CI has in an environment variable; the policy only names the variable:
        # headers: { authorization: { env: HEADGATE_GATE_TOKEN, prefix: "Bearer " } }
        expect: { status: 200 }

      # The safe payload, and nothing else, is what the chat is ever sent.
      - name: chat
        post: /api/chat
        json: { message: hi }
        expect: { status: 200 }

      # What is no JSON is turned away properly, without a stack trace.
      - name: chat-415
        post: /api/chat
        body: hi
        contentType: text/plain
        expect: { status: 415, bodyExcludes: [Traceback] }

      # A foreign page gets neither "*" nor itself allowed, on the request and on its preflight.
      - name: cors
        get: /health
        origin: https://not-allowed.example
        expect: { corsDenied: true }

      # Under load it answers, or says that it is too much; it never breaks. Bursts are sent after all other gates.
      - name: burst
        post: /api/chat
        json: { message: hi }
        burst: { requests: 20, concurrency: 10 }
        expect: { statusIn: [200, 429] }

      # A script of yours; exit code 0 passes. MODE, BASE, HEADGATE_COMMIT and others are in its environment.
      # - { name: drills, run: scripts/drills.sh, optional: true }

  production:
    # MODE=prod headgate gate   is the smoke test after a promotion: it only looks, and sends one safe payload.
    url: https://www.example.com
    servedCommit: { get: /health, json: commit }
    gates:
      - name: health
        get: /health
        expect: { status: 200, json: { app_env: production, debug_errors: false } }

      - name: db-health
        get: /db/health
        expect: { status: 200, json: { host: { oneOf: [db.production.internal] } } }

      - name: chat
        post: /api/chat
        json: { message: hi }
        expect: { status: 200 }

      - name: cors
        get: /health
        origin: https://not-allowed.example
        expect: { corsDenied: true }
`
}

const ALLOWED_SIGNERS = `# Who may sign what. One line a key, in OpenSSH's own format; \`headgate key generate\` prints such lines.
# Replace both keys.
ci@example.com namespaces="headgate-evidence" ssh-ed25519 REPLACE-WITH-THE-PUBLIC-KEY-OF-CI
alice namespaces="headgate-approval,git" ssh-ed25519 REPLACE-WITH-THE-PUBLIC-KEY-OF-ALICE
`
