/** A model validation in words and tables. */
import { holds, type ModelValidation, tally } from '../../replay/validate-model/result.ts';
import type { Badge, Chapter, ReportDocument, Table, Tile } from '../document/block.ts';
import { figures, words } from '../document/block.ts';
import { formatCount, NOT_AVAILABLE, plural } from '../format.ts';
import { fitSection } from './fit-section.ts';
import { ROLE, shownTables, tableSection } from './table-section.ts';

/** Builds the document. */
export function validationDocument(validation: ModelValidation): ReportDocument {
  const title = 'The model against measurements';
  return {
    title,
    label: 'model validation',
    fileStem: 'model-validation',
    overview: [summaryTable(validation)],
    chapters: [chapter(validation, title)],
    modelCard: {
      id: 'model-card',
      title: 'How to read this',
      blocks: [
        {
          kind: 'list',
          items: [
            'A point marked fitted was used to choose a parameter; one marked input sets the workload; all others are predictions.',
            `Workloads are synthetic and seeded (seed ${validation.seed}, ${validation.samples} requests a point); the same command gives the same numbers on every machine.`,
            'Tolerances are those of a cycle-approximate single-pass model, fixed per table, not per point.',
            'Your own machine: `iommu-replay validate-model --table FILE` holds a measured curve against any profile, `--fit PARAM,...` proposes values.',
          ],
        },
      ],
    },
  };
}

function chapter(validation: ModelValidation, title: string): Chapter {
  const gating = validation.tables.filter(({ role }) => role === 'gate' || role === 'regression');
  const counts = gating.map(tally);
  const decided = counts.reduce((sum, count) => sum + count.decided, 0);
  const passed = counts.reduce((sum, count) => sum + count.passed, 0);
  const held = gating.filter(holds).length;
  const badge: Badge = validation.pass
    ? { text: 'every point holds', tone: 'good' }
    : { text: `${plural(decided - passed, 'point')} outside tolerance`, tone: 'bad' };
  return {
    title,
    subtitle: 'published curves and counters, reproduced with seeded synthetic workloads',
    badges: [badge],
    sentence: sentence(validation, passed, decided),
    tiles: tiles(validation, passed, decided, held, gating.length),
    answers: [],
    provenance: null,
    pacing: '',
    sections: [
      ...(validation.fit === undefined ? [] : [fitSection(validation.fit)]),
      ...shownTables(validation).map(tableSection),
    ],
  };
}

function sentence(validation: ModelValidation, passed: number, decided: number): string {
  const failing = validation.tables.filter((table) => !holds(table)).map(({ id }) => id);
  const all = `${passed} of ${decided} points hold.`;
  return failing.length === 0 ? all : `${all} Points fail in ${failing.join(', ')}; the tables say which and why.`;
}

function tiles(validation: ModelValidation, passed: number, decided: number, held: number, tables: number): Tile[] {
  const predicted = validation.tables
    .flatMap(({ points }) => points)
    .filter(({ use, pass }) => use === 'predicted' && pass !== null);
  return [
    {
      label: 'Points that hold',
      value: `${passed} of ${decided}`,
      detail: 'in tables that decide',
      alert: passed < decided,
    },
    { label: 'Tables that hold', value: `${held} of ${tables}`, detail: 'every point of them', alert: held < tables },
    {
      label: 'Predictions that hold',
      value: `${predicted.filter(({ pass }) => pass).length} of ${predicted.length}`,
      detail: 'points nothing was fitted to',
      alert: false,
    },
    {
      label: 'Without measurements',
      value: plural(validation.tables.filter(({ role }) => role === 'unvalidated').length, 'table'),
      detail: 'nothing was published',
      alert: false,
    },
    {
      label: 'Requests a point',
      value: formatCount(validation.samples),
      detail: `in window sweeps, seed ${validation.seed}`,
      alert: false,
    },
  ];
}

function summaryTable(validation: ModelValidation): Table {
  return {
    kind: 'table',
    caption: 'Tables',
    columns: [words('table'), words('what'), words('role'), figures('points that hold')],
    rows: shownTables(validation).map((table) => {
      const { decided, passed } = tally(table);
      return [table.id, table.title, ROLE[table.role], decided === 0 ? NOT_AVAILABLE : `${passed} of ${decided}`];
    }),
  };
}
