import { spawnSync } from 'node:child_process'
import { type Finding, problem, remark } from './finding.ts'

/** 2039 for git 2.39; 0 where there is none. */
export function gitVersion(gitPath: string): number {
  const text = spawnSync(gitPath, ['version'], { encoding: 'utf8' }).stdout ?? ''
  const [, major = '0', minor = '0'] = /^git version (\d+)\.(\d+)/.exec(text) ?? []
  return Number(major) * 1000 + Number(minor)
}

/** 2.28: reference-transaction. 2.36: core.fsync takes a list. */
export function checkGitVersion(gitPath: string): Finding[] {
  const version = gitVersion(gitPath)
  const shown = `${gitPath} is git ${Math.floor(version / 1000)}.${version % 1000}`
  if (version < 2028)
    return [problem('git-too-old', `${shown}, and headgate needs 2.28`, 'install a newer git')]
  if (version < 2036)
    return [
      remark(
        'git-old',
        `${shown}; before 2.36 it syncs less of what it writes to the disk`,
        'install a newer git',
      ),
    ]
  return []
}
