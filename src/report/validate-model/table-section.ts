/** One validation table in words: what it rests on, its curves, its points. */
import type { ModelPoint, ModelTable, ModelValidation } from '../../replay/validate-model/result.ts';
import { tally } from '../../replay/validate-model/result.ts';
import type { Section, Table } from '../document/block.ts';
import { figures, words } from '../document/block.ts';
import { formatQuotient, NOT_AVAILABLE, plural } from '../format.ts';
import { tableCharts } from './charts.ts';

/** Roles in words. */
export const ROLE: Readonly<Record<ModelTable['role'], string>> = {
  gate: 'gates',
  regression: 'regression check',
  report: 'reported',
  unvalidated: 'UNVALIDATED',
};

/** All tables of a page: the validation's, and the curves with the values that its fit proposes. */
export function shownTables({ tables, fit }: ModelValidation): readonly ModelTable[] {
  return fit?.improved === true ? [...tables, fit.after] : tables;
}

/** Result, sources, curves and points. */
export function tableSection(table: ModelTable): Section {
  const { decided, passed } = tally(table);
  const state = decided === 0 ? ROLE[table.role] : `${passed} of ${plural(decided, 'point')} hold`;
  return {
    id: table.id.toLowerCase(),
    title: `${table.id} ${table.title}`,
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'Result', value: `${state} (${ROLE[table.role]})` },
          { label: 'Source', value: table.source },
          { label: 'Basis', value: table.basis },
        ],
      },
      { kind: 'charts', names: tableCharts(table).map(({ name }) => name) },
      pointTable(table),
      ...(table.notes.length === 0 ? [] : [{ kind: 'list' as const, items: table.notes }]),
    ],
  };
}

function pointTable(table: ModelTable): Table {
  const rates = table.points.some(({ publishedGbps }) => publishedGbps !== undefined);
  return {
    kind: 'table',
    caption: `Points of ${table.id}`,
    columns: [
      words('curve'),
      words('point'),
      figures('published'),
      figures('modelled'),
      figures('error'),
      figures('allowed', { wideOnly: true }),
      ...(rates ? [figures('Gb/s', { wideOnly: true }), figures('modelled Gb/s', { wideOnly: true })] : []),
      words('use', { wideOnly: true }),
      words('result'),
    ],
    rows: table.points.map((point) => [
      point.series,
      point.label,
      amount(point.published, point.unit),
      amount(point.modelled, point.unit),
      error(point),
      tolerance(point),
      ...(rates ? [formatQuotient(point.publishedGbps ?? null), formatQuotient(point.modelledGbps ?? null)] : []),
      point.use,
      verdict(point),
    ]),
  };
}

function amount(value: number | null, unit: string): string {
  return value === null ? NOT_AVAILABLE : `${formatQuotient(value)} ${unit}`;
}

function error({ error: value, tolerance: bound, unit }: ModelPoint): string {
  if (value === null) return NOT_AVAILABLE;
  const sign = value > 0 ? '+' : '';
  if (bound === null || bound.kind === 'relative') return `${sign}${(value * 100).toFixed(1)} %`;
  return `${sign}${formatQuotient(value)} ${unit}`;
}

function tolerance({ tolerance: bound, unit }: ModelPoint): string {
  switch (bound?.kind) {
    case undefined:
      return NOT_AVAILABLE;
    case 'relative':
      return `± ${formatQuotient(bound.share * 100)} %`;
    case 'absolute':
      return `± ${formatQuotient(bound.amount)} ${unit}`;
    case 'at-most':
      return 'at most';
    case 'at-least':
      return 'at least';
  }
}

function verdict({ pass, note }: ModelPoint): string {
  const state = pass === null ? NOT_AVAILABLE : pass ? 'holds' : 'FAILS';
  return note === undefined ? state : `${state}: ${note}`;
}
