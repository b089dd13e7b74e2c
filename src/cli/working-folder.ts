/**
 * Imported before everything else: some libraries ask for the current folder while they load, and where it has been
 * deleted (a CI workspace, another terminal) that would end in their words instead of ours.
 */
import { EXIT_CODES } from '../core/errors.ts'

try {
  process.cwd()
} catch {
  process.stderr.write('headgate: the current folder no longer exists\n  hint: cd to one that does\n')
  process.exit(EXIT_CODES.usage)
}
