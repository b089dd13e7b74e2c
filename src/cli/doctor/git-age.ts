import { tooOld } from '../../git/git-version.ts'
import { type Finding, problem } from './finding.ts'

export function checkGitVersion(gitPath: string): Finding[] {
  const error = tooOld(gitPath)
  return error === null ? [] : [problem('git-too-old', error.message, error.hint ?? '')]
}
