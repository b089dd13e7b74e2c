/** Variables of a process, by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Who calls a use case, as values: what a program's main file reads of its own process, once, and passes on. */
export type Caller = {
  /** Absolute path of the current folder. */
  readonly folder: string
  readonly environment: Environment
  /** Whether standard error is a terminal: there ssh-keygen asks for the touch of a hardware key. */
  readonly terminal?: boolean | undefined
}
