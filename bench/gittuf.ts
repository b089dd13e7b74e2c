/**
 * gittuf beside `headgate verify`: a log of as many moves of one branch, each recorded by gittuf itself and signed, under a
 * policy that lets one key move it. gittuf records that a branch moved, and nothing of what was proved before: a move of
 * headgate's ledger is five records.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What is known of it where it is not installed. No published figure is one for a log of a known length. */
export const GITTUF_ELSEWHERE = `gittuf: not installed here (Debian has it from version 13 on: apt install gittuf)
  gittuf verify-ref reads its log from the first entry too, which "may take a long time" where it is long, and caches what
  it verified: https://gittuf.dev/documentation/consumers/verifying
  evaluated in: Rethinking Trust in Forge-Based Git Security, NDSS 2025,
  https://www.ndss-symposium.org/ndss-paper/rethinking-trust-in-forge-based-git-security
`

export type GittufFigures = {
  /** From the first entry, without its cache, in seconds. */
  readonly first: number
  /** With what its cache remembers of a verification just before, in seconds. */
  readonly again: number
}

/** What gittuf says of itself; null where it is not installed. */
export function gittufVersion(): string | null {
  const ran = spawnSync('gittuf', ['version'], { encoding: 'utf8' })
  return ran.status === 0 ? ran.stdout.trim() : null
}

export function measureGittuf(moves: number): GittufFigures {
  const folder = mkdtempSync(join(tmpdir(), 'headgate-bench-'))
  try {
    const { gittuf } = recorded(folder, moves)
    const first = seconds(() => gittuf('verify-ref', 'main'))
    gittuf('cache', 'init')
    gittuf('verify-ref', 'main')
    return { first, again: seconds(() => gittuf('verify-ref', 'main')) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function recorded(folder: string, moves: number) {
  const clone = join(folder, 'clone')
  mkdirSync(clone)
  const run = (program: string, args: readonly string[]) =>
    execFileSync(program, args, {
      cwd: clone,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C' },
    })
  const gittuf = (...args: string[]) => run('gittuf', args)
  const git = (...args: string[]) => run('git', args)
  const key = (name: string) => {
    const path = join(folder, name)
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path])
    return path
  }
  const [root, dev] = [key('root'), key('dev')]
  const fingerprint = run('ssh-keygen', ['-lf', dev]).split(' ')[1] ?? ''
  git('init', '-q', '-b', 'main')
  for (const [name, value] of Object.entries({
    'user.name': 'Dev',
    'user.email': 'dev@example.com',
    'gpg.format': 'ssh',
    'user.signingKey': dev,
    'commit.gpgSign': 'true',
  }))
    git('config', '--global', name, value)
  const asRoot = ['-k', root]
  gittuf('trust', 'init', ...asRoot)
  gittuf('trust', 'add-policy-key', ...asRoot, '--policy-key', `${root}.pub`)
  gittuf('policy', 'init', ...asRoot)
  gittuf('policy', 'add-key', ...asRoot, '--public-key', `${dev}.pub`)
  const rule = ['--rule-name', 'main', '--rule-pattern', 'git:refs/heads/main', '--authorize', fingerprint]
  gittuf('policy', 'add-rule', ...asRoot, ...rule)
  gittuf('policy', 'stage', '--local-only')
  gittuf('policy', 'apply', '--local-only')
  for (let move = 1; move <= moves; move++) {
    git('commit', '-q', '--allow-empty', '-m', `move ${move}`)
    gittuf('rsl', 'record', 'main', '--local-only')
  }
  return { gittuf }
}

function seconds(work: () => void): number {
  const start = performance.now()
  work()
  return (performance.now() - start) / 1000
}
