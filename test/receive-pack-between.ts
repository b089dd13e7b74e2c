/** A program that git runs as the other end of a push: the real one, with something happening after its offer. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestRepository } from './make-repository.ts'

type Between = {
  /** A shell command that is run once, after the server has said where its refs are and before it is told what to do. */
  readonly afterOffer?: string
  /** Whether the server's report gets through. */
  readonly report?: boolean
}

/** Its path, for `remote.NAME.receivepack`. */
export function receivePackBetween(
  repository: TestRepository,
  { afterOffer = 'true', report = true }: Between,
): string {
  const file = join(repository.folder, 'receive-pack-between.mjs')
  writeFileSync(
    file,
    `#!${process.execPath}
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
const child = spawn('git', ['receive-pack', ...process.argv.slice(2)], { stdio: ['pipe', 'pipe', 'inherit'] })
let [isOffered, rest] = [false, Buffer.alloc(0)]
child.stdin.on('error', () => {})
child.stdout.on('data', (chunk) => {
  if (isOffered) {
    if (${report}) process.stdout.write(chunk)
    return
  }
  // The offer is pkt-lines up to the first flush.
  rest = Buffer.concat([rest, chunk])
  while (!isOffered && rest.length >= 4) {
    const length = Number.parseInt(rest.toString('latin1', 0, 4), 16)
    if (rest.length < length) return
    isOffered = length === 0
    const line = rest.subarray(0, length || 4)
    rest = rest.subarray(length || 4)
    if (isOffered && !existsSync(process.argv[1] + '.done')) {
      writeFileSync(process.argv[1] + '.done', '')
      execFileSync('/bin/sh', ['-c', ${JSON.stringify(afterOffer)}], { stdio: 'ignore' })
    }
    process.stdout.write(line)
  }
  if (isOffered) process.stdin.pipe(child.stdin)
})
child.on('close', (code) => { process.exitCode = ${report} ? code : 1 })
`,
    { mode: 0o755 },
  )
  return file
}
