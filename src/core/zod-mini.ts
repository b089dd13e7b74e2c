/**
 * zod as all of headgate uses it: its small form, with the messages of the large one. With the large form a hook would be
 * 350 KB and not 255, and would take a fifth longer to load.
 */
import { config } from 'zod/mini'
import en from 'zod/v4/locales/en.js'

config(en())

export * from 'zod/mini'
