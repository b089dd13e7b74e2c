/**
 * zod in its small form, with the messages of the large one. A schema of it takes a third of the time to make, which is
 * what a hook does that decides once.
 */
import { config } from 'zod/mini'
import en from 'zod/v4/locales/en.js'

config(en())

export * from 'zod/mini'
