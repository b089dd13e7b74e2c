import { tooOld } from '../../git/git-version.ts'
import { type Diagnosis, problem } from './diagnosis.ts'

export function checkGitVersion(gitPath: string): Diagnosis[] {
  const error = tooOld(gitPath)
  return error === null ? [] : [problem('git-too-old', error.message, error.hint ?? '')]
}
