/**
 * `REPO.git/headgate/cache/policy`: what a policy's text says, for the next hook that decides by itself. Reading YAML
 * against its schemas is a fifth of what such a hook does. Two lines: the SHA-256 of the identity of the program and its
 * reader of policies with the second line, then JSON, `{text, policy}`.
 *
 * It is a cache like the compiled code beside it: who can write there can write the hooks. The digest finds what a crash
 * has torn and what another version of the program understood.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Policy } from '../src/core/policy.ts'
import { keepFile } from './cache-file.ts'
import { SERVER_DIRECTORY } from './settings.ts'

export type PolicyMemo = { readonly text: string; readonly policy: Policy }

/** A policy's text is at most 64 KiB, and what it says is no more than some times that. */
const MAX_BYTES = 1024 * 1024

/** `program`: the identity of the one that runs. Undefined where nothing that this very program kept is there. */
export function recallPolicy(gitDirectory: string, program: string): PolicyMemo | undefined {
  try {
    const kept = readFileSync(memoPath(gitDirectory), 'utf8')
    const json = kept.slice(65)
    if (kept.length > MAX_BYTES || kept.slice(0, 65) !== `${digest(program, json)}\n`) return undefined
    return JSON.parse(json) as PolicyMemo
  } catch {
    return undefined
  }
}

/** Never throws: where it cannot be kept, the next process parses again. */
export function keepPolicy(gitDirectory: string, program: string, memo: PolicyMemo): void {
  const json = JSON.stringify({ text: memo.text, policy: memo.policy })
  if (json.length > MAX_BYTES / 2) return
  keepFile(memoPath(gitDirectory), `${digest(program, json)}\n${json}`)
}

function memoPath(gitDirectory: string): string {
  return join(gitDirectory, SERVER_DIRECTORY, 'cache', 'policy')
}

function digest(program: string, json: string): string {
  return createHash('sha256').update(program).update('\n').update(json).digest('hex')
}
