import { spawnSync } from 'node:child_process'
import { type Finding, problem, remark } from './finding.ts'

/** 2.28: reference-transaction. 2.36: core.fsync takes a list. */
export function checkGitVersion(gitPath: string): Finding[] {
  const text = spawnSync(gitPath, ['version'], { encoding: 'utf8' }).stdout ?? ''
  const [, major = '0', minor = '0'] = /^git version (\d+)\.(\d+)/.exec(text) ?? []
  const version = Number(major) * 1000 + Number(minor)
  const shown = `${gitPath} is git ${major}.${minor}`
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
