/** Version of the installed package, read from its own package.json. */
import { readFileSync } from 'node:fs';

/** `x.y.z` of the package this file belongs to. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
