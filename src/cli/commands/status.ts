import type { Argv } from 'yargs'
import type { StatusReport } from '../../app/status.ts'
import { examples } from '../examples.ts'
import { jsonOption, remoteOption } from '../options.ts'
import { thisCaller } from '../this-caller.ts'

type Output = { readonly describe: string; readonly load: () => Promise<(report: StatusReport) => void> }

/** What can be printed in place of the text: the option that asks for it, and the screen, a function of the report. */
const OUTPUTS = {
  json: {
    describe: jsonOption.json.describe,
    load: async () => (await import('../screens/status-json.ts')).showStatusJson,
  },
} satisfies { readonly [option: string]: Output }

type OutputName = keyof typeof OUTPUTS
type Flag = { readonly type: 'boolean'; readonly default: false; readonly describe: string }
const OUTPUT_NAMES = Object.keys(OUTPUTS) as OutputName[]
const OUTPUT_OPTIONS = Object.fromEntries(
  OUTPUT_NAMES.map((name): [string, Flag] => [
    name,
    { type: 'boolean', default: false, describe: OUTPUTS[name].describe },
  ]),
) as { readonly [Name in OutputName]: Flag }

export function statusCommand(cli: Argv): Argv {
  return cli.command(
    'status',
    'Where the branches and environments stand, what can be promoted, and what stands in the way',
    (command) =>
      command
        .option('limit', { type: 'number', default: 10, describe: 'how many candidates are listed' })
        .option('environments', {
          type: 'boolean',
          default: true,
          describe: 'ask staging and production what they serve',
        })
        .options(remoteOption)
        .options(OUTPUT_OPTIONS)
        .epilogue(
          examples(
            ['before a promotion', '$0 status'],
            ['for a dashboard', '$0 status --json'],
            ['without a word to staging and production', '$0 status --no-environments'],
          ),
        ),
    async (options) => {
      const { requireCount } = await import('../../app/requirements.ts')
      const { status } = await import('../../app/status.ts')
      const { showStatus, remarkUnasked } = await import('../screens/status.ts')
      const limit = requireCount('limit', options.limit)
      const report = await status(thisCaller(), { ...options, limit })
      remarkUnasked(report)
      const asked = OUTPUT_NAMES.find((name) => options[name])
      const show = asked === undefined ? showStatus : await OUTPUTS[asked].load()
      show(report)
    },
  )
}
