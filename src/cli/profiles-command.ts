/** `profiles`: the hardware and kernel profiles that ship, and every number of one with its source. */
import type { Command } from 'commander';
import type { ProfileCard } from '../replay/protocol.ts';
import { collect } from './pacing-option.ts';
import type { CommandContext } from './program.ts';

/** Registers `profiles`. */
export function registerProfiles(program: Command, context: CommandContext): void {
  program
    .command('profiles [name]')
    .description('list hardware and kernel profiles, or every number of one with its source')
    .option('--set <path=value>', 'override, as for run; repeatable', collect, [])
    .option('--format <format>', 'text | json', 'text')
    .action(async (name: string | undefined, options: { readonly set: readonly string[]; readonly format: string }) => {
      const { profileCard, profileCards } = await import('../replay/run-profiles.ts');
      const cards = name === undefined ? profileCards() : [profileCard(name, options.set)];
      if (options.format === 'json') context.console.data(JSON.stringify(cards, null, 2));
      else for (const card of cards) context.console.data(name === undefined ? headline(card) : details(card));
    });
}

function headline(card: ProfileCard): string {
  return `${card.kind.padEnd(8)} ${card.name.padEnd(12)} ${card.description}`;
}

function details(card: ProfileCard): string {
  const lines = [headline(card), `sha256 ${card.sha256}`, ''];
  for (const { path, value, unit, basis, source } of card.numbers) {
    lines.push(`${path} = ${value}${unit === '' ? '' : ` ${unit}`}  [${basis}] ${source}`);
  }
  return lines.join('\n');
}
