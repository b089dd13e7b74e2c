/**
 * `REPO.git/headgate/move`: the last move that was authorized, for the shell hooks, which can compare texts but not read
 * a ledger. One line, with the ledger's tip that made it so:
 *
 *     authorized SP <ref> SP <from> SP <to> SP <tip>
 *
 * It is a shortcut and no record: `prepared` takes it only while refs/headgate/ledger is still exactly at `tip`, where
 * the authorization is open, and whoever finds it stale or missing asks headgate, which asks the ledger. It goes when no
 * authorization is open any more: while it is there, a push of the staging branch may find something to record.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Oid } from '../src/core/oid.ts'
import { replaceFile } from '../src/git/own-files.ts'
import { SERVER_DIRECTORY } from './settings.ts'

export type AuthorizedMove = { readonly ref: string; readonly from: Oid; readonly to: Oid }

/** Never throws: without the file the hooks go the long way. An old text must not outlive a failure to replace it. */
export function writeAuthorized(gitDirectory: string, { ref, from, to }: AuthorizedMove, tip: Oid): void {
  try {
    replaceFile(pathIn(gitDirectory), `authorized ${ref} ${from} ${to} ${tip}\n`, { lasting: false })
  } catch {
    forgetMove(gitDirectory)
  }
}

/** Never throws. Somebody who authorizes at this very moment goes the long way. */
export function forgetMove(gitDirectory: string): void {
  try {
    rmSync(pathIn(gitDirectory), { force: true })
  } catch {
    // A file system that cannot even remove took no record either, so that this text authorizes nothing.
  }
}

function pathIn(gitDirectory: string): string {
  return join(gitDirectory, SERVER_DIRECTORY, 'move')
}
