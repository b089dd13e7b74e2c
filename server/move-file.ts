/**
 * `REPO.git/headgate/move`: the last move that was authorized, for the shell hooks, which can compare texts but not read
 * a ledger. Two lines: the first is
 *
 *     authorized SP <ref> SP <from> SP <to> SP <tip>      with the ledger's tip that made it so, or
 *     landed SP <ref> SP <from> SP <to>                   with what the pusher is told as the second line
 *
 * It is a shortcut and no record: `prepared` takes it only while refs/headgate/ledger is still exactly at `tip`, where
 * the authorization is open, and whoever finds it stale or missing asks headgate, which asks the ledger.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Oid } from '../src/core/oid.ts'
import { replaceFile } from '../src/git/own-files.ts'
import { SERVER_DIRECTORY } from './settings.ts'

export type AuthorizedMove = { readonly ref: string; readonly from: Oid; readonly to: Oid }

export function writeAuthorized(gitDirectory: string, { ref, from, to }: AuthorizedMove, tip: Oid): void {
  replace(gitDirectory, `authorized ${ref} ${from} ${to} ${tip}\n`)
}

export function writeLanded(gitDirectory: string, { ref, from, to }: AuthorizedMove, text: string): void {
  replace(gitDirectory, `landed ${ref} ${from} ${to}\n${text}\n`)
}

/** Never throws: without the file the hooks go the long way. An old text must not outlive a failure to replace it. */
function replace(gitDirectory: string, text: string): void {
  const path = join(gitDirectory, SERVER_DIRECTORY, 'move')
  try {
    replaceFile(path, text, { lasting: false })
  } catch {
    try {
      rmSync(path, { force: true })
    } catch {
      // A file system that cannot even remove took no record either, so that this text authorizes nothing.
    }
  }
}
