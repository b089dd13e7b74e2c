/** The policy of the tour. */

export type Places = { readonly staging: string; readonly production: string; readonly maxAge: string }

export function policyText({ staging, production, maxAge }: Places): string {
  return `version: 1
repository: git.example.com/app
staging: main
release: release
evidence: { maxAge: ${maxAge}, servedCommit: required }
promotion: { operators: [alice, bob] }
rollback: { approvers: [alice, bob], approverMayPush: false, target: smoke-passed }
environments:
${environmentText('staging', staging)}
${environmentText('production', production)}
`
}

function environmentText(name: string, url: string): string {
  return `  ${name}:
    url: ${url}
    servedCommit: { get: /health, json: commit }
    gates:
      - { name: health, get: /health, expect: { status: 200, json: { app_env: ${name}, debug_errors: false } } }
      - { name: db-health, get: /db/health, expect: { status: 200, json: { host: db.${name}.internal } } }
      - { name: chat, post: /api/chat, json: { message: hi }, expect: { status: 200 } }
      - { name: chat-415, post: /api/chat, body: hi, contentType: text/plain, expect: { status: 415 } }`
}

/** Names of the gates, for those who record results by hand. */
export const GATES = ['health', 'db-health', 'chat', 'chat-415'] as const

export function appFile(greeting: string, model: string): string {
  return `${JSON.stringify({ greeting, model }, null, 2)}\n`
}
