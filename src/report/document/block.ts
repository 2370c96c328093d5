/** A report as blocks of words and tables, from which text, Markdown and HTML are made without further arithmetic. */

/** A column of a table. Numbers are set flush right, words flush left. */
export interface Column {
  readonly label: string;
  readonly align: 'left' | 'right';
  /** Left out where the page is 72 columns wide. */
  readonly wideOnly?: boolean;
  /** Identifiers, set in the monospaced face. */
  readonly code?: boolean;
}

/** A table with its caption; `omitted` counts rows that are in `report.json` alone. */
export interface Table {
  readonly kind: 'table';
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly omitted?: number;
  /** Long reference tables start folded on the page. */
  readonly folded?: boolean;
}

/** A label and what it says. */
export interface Fact {
  readonly label: string;
  readonly value: string;
  /** A digest or command line, set in the monospaced face. */
  readonly code?: boolean;
}

export type Block =
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'facts'; readonly facts: readonly Fact[] }
  | { readonly kind: 'list'; readonly items: readonly string[] }
  /** Conditions, each with its mark. */
  | { readonly kind: 'checks'; readonly checks: readonly Check[] }
  /** Charts by their name without the prefix of the case; those that the case does not have are skipped. */
  | { readonly kind: 'charts'; readonly names: readonly string[] }
  /** Side by side where the page is wide enough. */
  | { readonly kind: 'columns'; readonly blocks: readonly Block[] }
  | Table;

/** A titled part of the report. */
export interface Section {
  /** Anchor, unique within its chapter. */
  readonly id: string;
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** A number of the first screen. */
export interface Tile {
  readonly label: string;
  readonly value: string;
  readonly detail: string;
  readonly alert: boolean;
}

/** One case of the run. */
export interface Chapter {
  readonly title: string;
  readonly subtitle: string;
  /** What holds for the case: complete, faults, divergences. */
  readonly badges: readonly Badge[];
  readonly sentence: string;
  readonly tiles: readonly Tile[];
  readonly answers: readonly { readonly question: string; readonly answer: string; readonly answered: boolean }[];
  readonly provenance: Provenance | null;
  readonly pacing: string;
  readonly sections: readonly Section[];
}

/** A state in one or two words. */
export interface Badge {
  readonly text: string;
  readonly tone: 'good' | 'warn' | 'bad' | 'plain';
}

/** Shares of 1 and the words beside them. */
export interface Provenance {
  readonly parts: readonly { readonly name: string; readonly share: number; readonly text: string }[];
  readonly notes: readonly string[];
}

/** The verdict on the whole: what a report of conditions and comparisons begins with. */
export interface Head {
  readonly badges: readonly Badge[];
  readonly sentence: string;
  /** One line a condition. */
  readonly checks: readonly Check[];
}

/** A condition that holds, does not, or could not be evaluated. */
export interface Check {
  readonly mark: '✓' | '✗' | '?';
  readonly text: string;
}

/** The whole report in words. */
export interface ReportDocument {
  readonly title: string;
  /** What kind of report; `run report` when absent. */
  readonly label?: string;
  /** Name of its files without ending; `report` when absent. */
  readonly fileStem?: string;
  /** Comes before everything else; a report of one run has none. */
  readonly head?: Head;
  /** State of the run as a whole, and a table of its cases when there are several. */
  readonly overview: readonly Block[];
  readonly chapters: readonly Chapter[];
  readonly modelCard: Section;
}

/** A left-aligned column. */
export function words(label: string, options: Partial<Column> = {}): Column {
  return { label, align: 'left', ...options };
}

/** A right-aligned column. */
export function figures(label: string, options: Partial<Column> = {}): Column {
  return { label, align: 'right', ...options };
}
