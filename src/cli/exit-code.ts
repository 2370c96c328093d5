/** Documented exit codes of the command line (README "Exit codes"). */
export const ExitCode = {
  ok: 0,
  /** A job, a check or a comparison failed. */
  failed: 1,
  /** Bad usage or configuration. */
  usage: 2,
  /** Input unreadable or invalid. */
  input: 3,
  /** Incomplete: shards or jobs are missing. */
  incomplete: 4,
  /** A threshold was breached, or could not be evaluated: nothing shows that it was kept. */
  threshold: 99,
  /** Interrupted; a partial result is marked incomplete. */
  interrupted: 130,
} as const;

/** One of the {@link ExitCode} values. */
export type ExitCodeValue = (typeof ExitCode)[keyof typeof ExitCode];
