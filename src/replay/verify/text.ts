/** A verification in words, for terminals and mails. */
import type { CheckResult, RoundResult, VerifyResult } from './result.ts';

/** At most 72 columns but for the first divergence of a check. */
export function formatVerification(result: VerifyResult): string {
  const { coverage } = result;
  const lines = [
    `${result.bundle}: ${result.pass ? 'every check holds' : 'FAILED'}`,
    `  kernel ${result.kernelProfile}, recorder ${result.recorderProfile}`,
    `  coverage ${percent(coverage.share)} of ${coverage.inWindow} accesses in the window, ${coverage.learned} learned`,
  ];
  for (const [name, check] of Object.entries(result.checks)) {
    lines.push(`  ${check.pass ? 'ok  ' : 'FAIL'} ${name.padEnd(13)} ${counts(check)}`);
    if (check.firstDivergence !== undefined && !check.pass) lines.push(`       ${check.firstDivergence}`);
  }
  if (result.rounds !== undefined) lines.push(roundsLine(result.rounds));
  return lines.join('\n');
}

/** Requests that a device was asked for, each with what landed while it was outstanding. */
function roundsLine(rounds: readonly RoundResult[]): string {
  const whole = rounds.filter(
    ({ bytes, lengthBytes, requests, matched }) => bytes === lengthBytes && matched === requests,
  );
  const blocked = rounds.filter(({ faulted }) => faulted > 0).length;
  const first = rounds.find((round) => !whole.includes(round));
  const ends = first === undefined ? '' : `; first that differs: control row ${first.controlRow} (${first.action})`;
  return `  rounds: ${whole.length} of ${rounds.length} outstanding DMAs end as recorded, every access (${blocked} blocked)${ends}`;
}

function counts(check: CheckResult): string {
  const parts = [`${check.matched} of ${check.total}`];
  if (check.reordered) parts.push(`${check.reordered} reordered`);
  if (check.learned) parts.push(`${check.learned} learned`);
  if (check.outsideWindow) parts.push(`${check.outsideWindow} outside the window`);
  for (const [name, count] of Object.entries(check.apart ?? {})) parts.push(`${name.replaceAll('_', ' ')} ${count}`);
  return parts.join(', ');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** Markdown table, one row a bundle: matched of total for each check. */
export function verificationTable(results: readonly VerifyResult[]): string {
  const checks = ['translations', 'iotlb', 'faults', 'descriptors', 'pageTables'];
  const header = ['recording', 'kernel', 'recorder', 'coverage', 'learned', ...checks, 'result'];
  const rows = results.map((result) => [
    result.bundle,
    result.kernelProfile,
    result.recorderProfile,
    percent(result.coverage.share),
    String(result.coverage.learned),
    ...checks.map((name) => {
      const check = result.checks[name];
      return check === undefined ? '–' : tableCell(check);
    }),
    result.pass ? 'holds' : '**fails**',
  ]);
  return [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function tableCell(check: CheckResult): string {
  const swaps = check.reordered ? `, ${check.reordered} reordered` : '';
  const outside = check.outsideWindow ? `, ${check.outsideWindow} outside` : '';
  return `${check.matched} / ${check.total}${swaps}${outside}`;
}
