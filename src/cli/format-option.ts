/** Options that are one of a few words. */
import { ConfigError } from '../input-error.ts';

/** The word, or undefined when the option was not given; throws {@link ConfigError} for any other. */
export function parseChoice<T extends string>(
  option: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((one) => one === text);
  if (choice === undefined) {
    throw new ConfigError({ source: option, reason: `'${text}' is none of ${choices.join(', ')}` });
  }
  return choice;
}
