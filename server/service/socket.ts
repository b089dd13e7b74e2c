/** The unix socket that the service listens on. */
import { chmodSync, lstatSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { dirname, isAbsolute } from 'node:path'
import { HeadgateError } from '../../src/core/errors.ts'
import { answers } from './announcement.ts'

/** sun_path has 108 bytes on Linux, 104 on the BSDs, one of them a zero. */
const MAX_PATH_BYTES = 103
/** Whoever can connect can ask for a decision in anybody's name: the account that serves pushes and its group. */
const MODE = 0o660

/**
 * Listens on `path`. A socket that a dead service left there is replaced; one that answers, and anything that is no
 * socket, is not. Throws HeadgateError 'configuration'.
 */
export async function listenOn(server: Server, path: string): Promise<void> {
  if (!isAbsolute(path) || /[\n\r\0]/.test(path))
    throw new HeadgateError('configuration', 'the socket must be an absolute path on one line')
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new HeadgateError('configuration', `${path} is too long for a socket`, {
      hint: `its limit is ${MAX_PATH_BYTES} bytes; name a shorter one: --socket /run/headgate/socket`,
    })
  }
  await removeStale(path)
  // The mode from the first moment on: chmod comes too late for somebody who waits for the socket to appear.
  const before = process.umask(0o777 & ~MODE)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new HeadgateError('configuration', `cannot listen on ${path} (${error.code ?? error.message})`, {
            hint:
              error.code === 'EADDRINUSE'
                ? 'another service listens there already'
                : `the folder ${dirname(path)} must exist and be writable for this account`,
          }),
        ),
      )
      server.listen(path, resolve)
    })
  } finally {
    process.umask(before)
  }
  chmodSync(path, MODE)
}

async function removeStale(path: string): Promise<void> {
  const status = lstatSync(path, { throwIfNoEntry: false })
  if (status === undefined) return
  if (!status.isSocket()) {
    throw new HeadgateError('configuration', `${path} is there already and is no socket`, {
      hint: 'name another one: --socket PATH',
    })
  }
  if (await answers(path)) {
    throw new HeadgateError('configuration', `another service listens on ${path} already`, {
      hint: 'stop it first, or name another socket: --socket PATH',
    })
  }
  rmSync(path, { force: true })
}
