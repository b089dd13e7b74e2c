/**
 * `REPO.git/headgate/cache/policy`: what a policy's text says, for the next hook that decides by itself. Reading YAML
 * against its schemas is a fifth of what such a hook does. Two lines: the SHA-256 of the program that wrote it with the
 * second line, then JSON, `{text, policy}`.
 *
 * It is a cache like the compiled code beside it: who can write there can write the hooks. The digest finds what a crash
 * has torn and what another version of the program understood.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Policy } from '../src/core/policy.ts'
import { SERVER_DIRECTORY } from './settings.ts'

export type PolicyMemo = { readonly text: string; readonly policy: Policy }

/** A policy's text is at most 64 KiB, and what it says is no more than some times that. */
const MAX_BYTES = 1024 * 1024

/** `program`: the file that runs. Undefined where nothing that this very program kept is there. */
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
  const path = memoPath(gitDirectory)
  const fresh = `${path}.${process.pid}`
  try {
    const json = JSON.stringify({ text: memo.text, policy: memo.policy })
    if (json.length > MAX_BYTES / 2) return
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(fresh, `${digest(program, json)}\n${json}`, { mode: 0o644 })
    renameSync(fresh, path)
  } catch {
    rmSync(fresh, { force: true })
  }
}

function memoPath(gitDirectory: string): string {
  return join(gitDirectory, SERVER_DIRECTORY, 'cache', 'policy')
}

function digest(program: string, json: string): string {
  return createHash('sha256').update(readFileSync(program)).update('\n').update(json).digest('hex')
}
