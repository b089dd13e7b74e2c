/** What an audit costs: generated ledgers with real signatures, verified by the built program. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { makeLedger } from './generated-ledger.ts'
import { GITTUF_ELSEWHERE, gittufVersion, measureGittuf } from './gittuf.ts'
import { printTable } from './rounds.ts'

const PROGRAM = join(import.meta.dirname, '..', 'dist', 'headgate.js')

type Size = { readonly records: number; readonly moves: number; readonly commits: number }

const SIZES: readonly Size[] = [
  { records: 1_000, moves: 200, commits: 10_000 },
  { records: 10_000, moves: 2_000, commits: 100_000 },
]
const LARGEST: Size = { records: 100_000, moves: 10_000, commits: 1_000_000 }
/** gittuf takes tens of milliseconds to record one. */
const MOST_GITTUF_MOVES = 2_000
/** What comes before the second audit. */
const MORE = 100

export async function measureVerify(full: boolean): Promise<void> {
  const rows: (string | number)[][] = [
    [
      'records / moves / commits',
      'first, s',
      'MB',
      'fetched, s',
      'records/s',
      `${MORE} more, s`,
      'one commit, s',
    ],
  ]
  const firsts = new Map<number, number>()
  for (const size of full ? [...SIZES, LARGEST] : SIZES) {
    const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-'))
    try {
      const { row, fetched } = await measure(folder, size)
      rows.push(row)
      firsts.set(size.moves, fetched)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  console.log(
    'headgate verify: in a clone, with the fetch of the ledger; from the first record without it; again after more',
  )
  printTable(rows)
  compareWithGittuf(firsts)
}

/** Both read their logs from the first entry, in a clone, without a network. */
function compareWithGittuf(headgate: ReadonlyMap<number, number>): void {
  const version = gittufVersion()
  if (version === null) {
    console.log(GITTUF_ELSEWHERE)
    return
  }
  const rows: (string | number)[][] = [
    ['moves', 'headgate verify, s', 'gittuf verify-ref, s', 'with its cache, s', 'gittuf / headgate'],
  ]
  for (const [moves, seconds] of headgate) {
    if (moves > MOST_GITTUF_MOVES) continue
    const { first, again } = measureGittuf(moves)
    rows.push([String(moves), seconds, first, again, first / seconds])
  }
  console.log(`${version}, as many moves of one branch, each signed: its entries are recorded by itself`)
  printTable(rows)
}

async function measure(folder: string, size: Size): Promise<{ row: (string | number)[]; fetched: number }> {
  const bare = join(folder, 'app.git')
  const clone = join(folder, 'clone')
  const keys = { ci: key(), alice: key(), seal: key() }
  const git = (...args: string[]) =>
    execFileSync('git', args, { encoding: 'utf8', maxBuffer: 1024 ** 3 }).trim()
  git('init', '-q', '--bare', '-b', 'main', bare)
  await fastImport(bare, async (write) => {
    for (let index = 0; index < size.commits; index++)
      await write(
        `commit refs/heads/main\ncommitter Dev <dev@example.com> ${1_700_000_000 + index} +0000\ndata 4\nmore\n`,
      )
  })
  const commits = git('-C', bare, 'rev-list', '--reverse', 'main').split('\n')
  const made = makeLedger({ ...size, commits, keys, more: MORE })
  await fastImport(bare, made.write)
  git('-C', bare, 'update-ref', 'refs/heads/release', made.release)
  git('clone', '-q', '--no-checkout', bare, clone)
  const first = audit(clone)
  const fetched = audit(clone, '--offline', '--full')
  const again = made.more()
  await fastImport(bare, again.write)
  git('-C', bare, 'update-ref', 'refs/heads/release', again.release)
  const second = audit(clone)
  const one = audit(clone, '--offline', '--commit', again.release)
  const name = `${size.records} / ${size.moves} / ${size.commits}`
  const rate = size.records / fetched.seconds
  return {
    row: [name, first.seconds, first.megabytes, fetched.seconds, rate, second.seconds, one.seconds],
    fetched: fetched.seconds,
  }
}

function key() {
  return generateKeyPairSync('ed25519').privateKey
}

/** Fails where the generated ledger is not found to be in order: then the figures would mean nothing. */
function audit(clone: string, ...args: string[]): { seconds: number; megabytes: number } {
  const start = performance.now()
  const report = join(clone, 'rss')
  const ran = spawnSync(process.execPath, ['--import', rssReporter(report), PROGRAM, 'verify', ...args], {
    cwd: clone,
    encoding: 'utf8',
    env: { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: clone },
  })
  const seconds = (performance.now() - start) / 1000
  if (ran.status !== 0) throw new Error(`verify ended with ${ran.status}\n${ran.stdout}${ran.stderr}`)
  const rss = Number(execFileSync('cat', [report], { encoding: 'utf8' }))
  return { seconds, megabytes: rss / 1024 }
}

/** A module that writes the most memory that the process had, in KiB, at its end. */
function rssReporter(file: string): string {
  const code = `import{writeFileSync}from'node:fs';process.on('exit',()=>writeFileSync(${JSON.stringify(file)},String(process.resourceUsage().maxRSS)))`
  return `data:text/javascript,${encodeURIComponent(code)}`
}

async function fastImport(
  bare: string,
  produce: (write: (text: string | Buffer) => Promise<void>) => Promise<void>,
): Promise<void> {
  const importing = spawn('git', ['--git-dir', bare, 'fast-import', '--quiet', '--force', '--done'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const closed = once(importing, 'close')
  await produce(async (text) => {
    if (!importing.stdin.write(text)) await once(importing.stdin, 'drain')
  })
  importing.stdin.end('done\n')
  const [code] = await closed
  if (code !== 0) throw new Error(`fast-import ended with ${code}`)
}
