/** What the doctor found: one thing that is not as it should be. */
export type Diagnosis = {
  /** One word or two for programs, stable. */
  readonly code: string
  /** A `remark` is worth knowing and is no fault of the installation. */
  readonly level: 'problem' | 'remark'
  readonly what: string
  /** The command or the step that puts it right. */
  readonly fix: string
  /** What `--fix` does about it; absent where it is no safe thing to do. */
  readonly repair?: Repair
}

/** `install`: what `init` or `server install` does. Each repair runs once, however many findings ask for it. */
export type Repair =
  | { readonly kind: 'install' }
  | { readonly kind: 'chmod'; readonly modes: readonly { readonly path: string; readonly mode: number }[] }
  | { readonly kind: 'run'; readonly program: string; readonly args: readonly string[]; readonly cwd: string }

export function problem(code: string, what: string, fix: string, repair?: Repair): Diagnosis {
  return { code, level: 'problem', what, fix, ...(repair === undefined ? {} : { repair }) }
}

export function remark(code: string, what: string, fix: string): Diagnosis {
  return { code, level: 'remark', what, fix }
}
