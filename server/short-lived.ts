/**
 * For a process that decides once: zod would write and compile a function for each schema, which pays after many
 * parses and costs a tenth of a single decision. It has to be told before the first schema is made.
 */
import * as z from '../src/core/zod-mini.ts'

z.config({ jitless: true })
