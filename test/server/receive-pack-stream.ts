/**
 * A client for git-receive-pack that says what it is told to say (gitprotocol-pack(5)), to push what `git push` would
 * never send. It reads the server's advertisement, answers with one request, and returns everything that comes back.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import type { Ran, TestRepository } from '../make-repository.ts'

export type Request = {
  /** `<old> <new> <ref>` lines, or raw bytes; the first one carries the capabilities. */
  readonly commands: readonly (string | Buffer)[]
  /** Without `agent`; unless told `report-status`, `side-band-64k` and whatever the other fields need. */
  readonly capabilities?: readonly string[]
  readonly shallow?: readonly string[]
  readonly pushOptions?: readonly (string | Buffer)[]
  /** An empty pack unless told; null sends none, as for a push that only deletes. */
  readonly pack?: Buffer | null
  /** Everything after the advertisement, instead of all of the above. */
  readonly raw?: (advertisement: Advertisement) => Buffer
}

export type Advertisement = {
  readonly refs: ReadonlyMap<string, string>
  readonly capabilities: readonly string[]
}

export type Answer = Ran & {
  readonly advertisement: Advertisement
  /** `unpack ok`, `ok <ref>`, `ng <ref> <reason>`. */
  readonly report: readonly string[]
}

/** `code` is 0 only if receive-pack ended well and reported no ref as refused. `all` is what a pusher would see. */
export async function receivePack(
  repository: TestRepository,
  request: Request,
  options: { readonly as?: string; readonly env?: Record<string, string>; readonly path?: string } = {},
): Promise<Answer> {
  const child = spawn('git', ['receive-pack', options.path ?? repository.bare], {
    cwd: repository.folder,
    env: { ...repository.env, TEST_PUSHER: options.as ?? 'alice', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => {})
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)))
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8')
  })
  let received: Buffer = Buffer.alloc(0)
  let advertisement: Advertisement | undefined
  let rest = 0
  child.stdout.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (advertisement !== undefined) return
    const { packets, length } = readPackets(received)
    if (length === null) return
    rest = length
    advertisement = parseAdvertisement(packets)
    child.stdin.end(request.raw === undefined ? encode(request) : request.raw(advertisement))
  })
  const exit = await ended
  const answer = demultiplex(received.subarray(rest))
  const report = readPackets(answer.report).packets.map((packet) =>
    packet.toString('utf8').replace(/\n$/, ''),
  )
  const refused =
    exit !== 0 || report.length === 0 || report.some((line) => /^(?:ng |unpack (?!ok))/.test(line))
  return {
    code: refused ? exit || 1 : 0,
    stdout: report.join('\n'),
    stderr,
    all: answer.messages + stderr,
    advertisement: advertisement ?? { refs: new Map(), capabilities: [] },
    report,
  }
}

export function packet(data: string | Buffer): Buffer {
  const bytes = Buffer.from(data as string)
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes])
}

export const FLUSH = Buffer.from('0000')

/** A pack of everything that the revisions reach, `^` for what to leave out; in the clone. */
export function packOf(repository: TestRepository, revisions: readonly string[], ...args: string[]): Buffer {
  return bytesOf(
    repository,
    ['pack-objects', '--stdout', '--revs', '-q', ...args],
    `${revisions.join('\n')}\n`,
  )
}

/** A pack of exactly these objects. */
export function packOfObjects(repository: TestRepository, oids: readonly string[]): Buffer {
  return bytesOf(repository, ['pack-objects', '--stdout', '-q'], `${oids.join('\n')}\n`)
}

export function emptyPack(hash: 'sha1' | 'sha256' = 'sha1'): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1')
  return Buffer.concat([header, createHash(hash).update(header).digest()])
}

function bytesOf(repository: TestRepository, args: readonly string[], input: string): Buffer {
  const ran = repository.mustRun(
    repository.run('sh', ['-c', 'git "$@" | base64 -w0', 'sh', ...args], { cwd: repository.clone, input }),
  )
  return Buffer.from(ran.stdout, 'base64')
}

function encode(request: Request): Buffer {
  const { commands, shallow = [], pushOptions, pack } = request
  const capabilities = request.capabilities ?? ['report-status', 'side-band-64k']
  const all = pushOptions === undefined ? capabilities : [...capabilities, 'push-options']
  return Buffer.concat([
    ...shallow.map((oid) => packet(`shallow ${oid}`)),
    ...commands.map((command, index) => {
      const bytes = Buffer.from(command as string)
      return packet(index === 0 ? Buffer.concat([bytes, Buffer.from(`\0 ${all.join(' ')}`)]) : bytes)
    }),
    FLUSH,
    ...(pushOptions === undefined ? [] : [...pushOptions.map(packet), FLUSH]),
    ...(pack === null ? [] : [pack ?? emptyPack()]),
  ])
}

/** The packets up to the first flush and how many bytes that was; null if it has not come. */
function readPackets(bytes: Buffer): { packets: Buffer[]; length: number | null } {
  const packets: Buffer[] = []
  let at = 0
  while (at + 4 <= bytes.length) {
    const length = Number.parseInt(bytes.toString('latin1', at, at + 4), 16)
    if (length === 0) return { packets, length: at + 4 }
    if (!(length >= 4) || at + length > bytes.length) break
    packets.push(bytes.subarray(at + 4, at + length))
    at += length
  }
  return { packets, length: null }
}

function parseAdvertisement(packets: readonly Buffer[]): Advertisement {
  const refs = new Map<string, string>()
  let capabilities: string[] = []
  for (const line of packets) {
    const [ref = '', more] = line.toString('utf8').replace(/\n$/, '').split('\0')
    const [oid = '', name = ''] = ref.split(' ')
    refs.set(name, oid)
    if (more !== undefined) capabilities = more.split(' ')
  }
  return { refs, capabilities }
}

/** Bands: 1 is the report, 2 and 3 are messages. Without side-band everything is the report. */
function demultiplex(bytes: Buffer): { report: Buffer; messages: string } {
  const { packets } = readPackets(bytes)
  const banded =
    packets.length > 0 && packets.every((packet) => (packet[0] ?? 0) >= 1 && (packet[0] ?? 0) <= 3)
  if (!banded) return { report: bytes, messages: '' }
  const band = (...numbers: number[]) =>
    Buffer.concat(
      packets.filter((packet) => numbers.includes(packet[0] ?? 0)).map((packet) => packet.subarray(1)),
    )
  return { report: band(1), messages: band(2, 3).toString('utf8') }
}
