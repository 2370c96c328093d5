/** The only place that writes to the terminal: data on stdout, talk on stderr. */

/** Where a command writes; tests hand in buffers. */
export interface Console {
  /** One document or line of data. */
  data(text: string): void;
  /** One line for the person watching. */
  talk(text: string): void;
  /** An error message: never silenced. */
  error(text: string): void;
  /** True when stderr is a terminal a progress bar may use. */
  readonly interactive: boolean;
}

/** The process's own streams. `quiet` drops talk. */
export function processConsole(quiet: boolean): Console {
  return {
    data: (text) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    talk: (text) => {
      if (!quiet) process.stderr.write(`${text}\n`);
    },
    error: (text) => process.stderr.write(text.endsWith('\n') ? text : `${text}\n`),
    interactive: !quiet && process.stderr.isTTY === true && process.env['CI'] === undefined,
  };
}
