/**
 * `REPO.git/headgate/service`: where the hooks of a repository find the service. Two lines, the path of its socket and the
 * path by which it knows the repository. Without the file the hooks decide by themselves.
 */
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { replaceFile } from '../../src/git/own-files.ts'
import { readRegularFile } from '../../src/git/tree-file.ts'
import { SERVER_DIRECTORY } from '../settings.ts'

/** Two paths. */
const MAX_BYTES = 16 * 1024

export function announce(repository: string, socket: string): void {
  // A crash may lose or tear it: then there is no such socket, and the hooks decide by themselves.
  replaceFile(pathOf(repository), textOf(repository, socket), { lasting: false })
}

export function isAnnounced(repository: string, socket: string): boolean {
  return announced(repository) === textOf(repository, socket)
}

/** The socket that the hooks are told of, whoever listens there; null where they are told of none. */
export function announcedSocket(repository: string): string | null {
  return announced(repository)?.split('\n')[0] ?? null
}

/** Only where the hooks are told of this very socket: another service may have taken over. */
export function withdraw(repository: string, socket: string): void {
  if (announcedSocket(repository) === socket) rmSync(pathOf(repository), { force: true })
}

/** Whether a service listens on a socket. */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket)
    const end = (answer: boolean) => {
      connection.destroy()
      resolve(answer)
    }
    connection.once('connect', () => end(true))
    // Nobody listens (ECONNREFUSED), or it vanished meanwhile; a full queue (EAGAIN) is somebody's.
    connection.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'EAGAIN'))
  })
}

function announced(repository: string): string | null {
  try {
    return readRegularFile(pathOf(repository), MAX_BYTES)?.toString('utf8') ?? null
  } catch {
    return null
  }
}

function textOf(repository: string, socket: string): string {
  return `${socket}\n${repository}\n`
}

function pathOf(repository: string): string {
  return join(repository, SERVER_DIRECTORY, 'service')
}
