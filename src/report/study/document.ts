/** A study in words and tables. */
import type { RunResult } from '../../replay/protocol.ts';
import type { Chart } from '../charts/chart.ts';
import type { Badge, Block, Chapter, ReportDocument, Section, Tile } from '../document/block.ts';
import { modelCardChapter } from '../document/model-card.ts';
import { workloadProvenance } from '../document/workload-provenance.ts';
import { capital, formatCount, formatDuration, plural } from '../format.ts';
import { nsFromPs } from '../quantities.ts';
import { modelCardSection } from '../sections/model-card.ts';
import { studyCharts } from './charts.ts';
import { type StudyCase, studyCases } from './study-case.ts';
import {
  callTable,
  failureTable,
  laneTable,
  refillTable,
  sensitivityTable,
  sequenceTable,
  servedTable,
  timesTable,
  transitionTable,
} from './tables.ts';
import { orderVerdict, verdictOf } from './verdicts.ts';

/** What a study's numbers cannot be held against, and what they leave out. */
export const STUDY_LIMITS: readonly string[] = [
  'No public measurement validates these blackouts: no publication gives the time for which DMA stops in a replace. They follow from driver steps, invalidation latencies and the load; the invalidation latencies are measured or derived (see the profile), the split of one latency into doorbell, fetch, execution and status write is not.',
  'A request meets context and PASID entries as they are when it is issued, not when it arrives: off by its flight time, about 0.1 µs.',
  'The device does not repeat a request that faulted. With `--on-fault continue` it goes on with the next one, which under closed pacing makes the number of faulted DMAs an upper bound; with `stop` it stops about 100 ns after the first fault came back and goes on when its entry is set up again, without the time that its driver needs to recover it. Switches of PASIDs stop nothing.',
  'Injected switches move a RID or PASID to a twin of its domain (the same tables under another domain id), a mediated device to an IOAS with copies of all mappings, a group to a container with the same mappings. Building the twin is outside the switch, except for containers under detach-attach.',
  'Devices with ATS keep their own TLB, whose size and times are assumptions: no endpoint’s are public. What such a TLB serves is told apart by the memory it reaches; where old and new table map a page to the same memory, it counts as the old table’s until the call returns.',
  'Nested tables: a guest’s stores to its own tables take no time and are seen at once; a nested table has a domain id of its own, as Linux gives it, unless `behaviours.nestedDomainIds` says `shared`.',
  'The container interface has no replace: under every policy but detach-attach a container move is performed through device nodes and an iommufd, as one replace.',
  'A PASID entry store of 128 bits takes a quarter of an entry write; how long a processor really needs between two of them is not public.',
  '`make-before-break` is no kernel: it stands for the best any software could do with one store of the whole entry.',
];

/** A study and the data of its charts. */
export interface StudyDocument {
  readonly document: ReportDocument;
  /** Charts by case. */
  readonly charts: readonly (readonly Chart[])[];
  readonly cases: readonly StudyCase[];
  /** One line a policy, for the terminal. */
  readonly verdicts: readonly string[];
}

/** Builds the document of a study. */
export function studyDocument(run: RunResult): StudyDocument {
  const cases = studyCases(run);
  const several = cases.length > 1;
  const charts = cases.map((study, index) => studyCharts(study, several ? `case${index + 1}-` : ''));
  const card = modelCardChapter(modelCardSection(run.profiles));
  return {
    cases,
    charts,
    verdicts: cases.flatMap((study) => study.policies.map(verdictOf)),
    document: {
      title: cases.length === 1 ? `Replacing page tables under ${cases[0]!.workload}` : 'Replacing page tables',
      label: 'disruption study',
      fileStem: 'study',
      overview: overview(run, cases),
      chapters: cases.map((study) => chapter(study, run)),
      modelCard: {
        ...card,
        blocks: [
          { kind: 'paragraph', text: 'What this study cannot say:' },
          { kind: 'list', items: [...STUDY_LIMITS] },
          ...card.blocks,
        ],
      },
    },
  };
}

function overview(run: RunResult, cases: readonly StudyCase[]): Block[] {
  const blocks: Block[] = [];
  if (cases.length === 0) blocks.push({ kind: 'paragraph', text: 'No job of this study produced a result.' });
  if (!run.complete)
    blocks.push({ kind: 'paragraph', text: 'This study is incomplete: it covers only the jobs that finished.' });
  for (const { key, error } of run.failures) blocks.push({ kind: 'paragraph', text: `Failed: \`${key}\`: ${error}` });
  return blocks;
}

function chapter(study: StudyCase, run: RunResult): Chapter {
  const ran = study.policies.filter(({ summary }) => summary.switches > 0);
  return {
    title: study.workload,
    subtitle: [study.hardwareProfile, study.kernelProfile, `pacing ${study.pacing}`].join(' · '),
    badges: badges(study, run),
    sentence: sentence(study),
    tiles: tiles(study),
    answers: study.policies.map((result) => ({
      question: result.policy,
      answer: `${capital(result.description)}. ${capital(verdictOf(result).slice(result.policy.length + 2))}`,
      answered: result.summary.switches > 0,
    })),
    provenance: workloadProvenance(study.identity),
    pacing: pacingText(study),
    sections: ran.length === 0 ? [] : sections(study),
  };
}

function pacingText({ pacing, onFault }: StudyCase): string {
  const closed = pacing === 'closed';
  const counts = `${pacing}; latency counts from ${closed ? 'the issue of a request' : 'the recorded arrival'}`;
  if (onFault === 'stop')
    return `${counts}; a device stops when a request faults and goes on when it has a table again`;
  return closed
    ? `${counts}; a blocked device goes on as fast as its requests fault, so that counts of faulted DMAs are upper bounds`
    : counts;
}

function badges(study: StudyCase, run: RunResult): Badge[] {
  const list: Badge[] = [
    run.complete ? { text: 'complete', tone: 'good' } : { text: 'incomplete', tone: 'bad' },
    { text: 'no public measurement validates this', tone: 'warn' },
  ];
  const order = orderVerdict(study);
  if (order !== undefined) {
    list.push(
      order.holds ? { text: 'expected order holds', tone: 'good' } : { text: 'unexpected order', tone: 'warn' },
    );
  }
  const stale = study.policies.filter(({ summary }) => summary.stale_after_return > 0).map(({ policy }) => policy);
  if (stale.length > 0) list.push({ text: `stale translations: ${stale.join(', ')}`, tone: 'bad' });
  return list;
}

function sentence(study: StudyCase): string {
  const count = Math.max(0, ...study.policies.map(({ summary }) => summary.switches));
  if (count === 0) return 'The workload has no switch of page tables; --inject-switch adds some.';
  const clean = study.policies.filter(({ summary }) => summary.faulted === 0 && summary.stale_after_return === 0);
  const names = clean.map(({ policy }) => policy).join(', ');
  const rows = Math.max(...study.policies.map(({ dmaRows }) => dmaRows));
  const order = orderVerdict(study);
  return `${plural(count, 'switch', 'switches')} under ${plural(rows, 'DMA')}: ${names === '' ? 'no policy gets through without a faulted or stale DMA' : `without a faulted or stale DMA under ${names}`}. ${order?.text ?? ''}`;
}

function tiles(study: StudyCase): Tile[] {
  return study.policies.map(({ policy, summary }) => ({
    label: policy,
    value: summary.switches === 0 ? 'no switch' : formatDuration(summary.blackout.p50_ns),
    detail: `blackout p50, max ${formatDuration(summary.blackout.max_ns)}; ${formatCount(summary.faulted)} faulted${summary.stale_after_return > 0 ? `, ${formatCount(summary.stale_after_return)} stale` : ''}`,
    alert: summary.faulted > 0 || summary.stale_after_return > 0,
  }));
}

function longerThanWindow({ policies, windowPs }: StudyCase): string {
  const longer = policies.filter(({ summary }) => (summary.blackout.p50_ns ?? 0) > nsFromPs(windowPs));
  if (longer.length === 0) return '';
  return ` Blackouts under ${longer.map(({ policy }) => policy).join(', ')} are longer than the window: \`--window\` widens it.`;
}

function sections(study: StudyCase): Section[] {
  const { policies, variants } = study;
  const failed = policies.some(({ summary }) => summary.failed > 0);
  const list: Section[] = [
    {
      id: 'disruption',
      title: 'What DMA saw',
      blocks: [
        servedTable(policies),
        timesTable(policies),
        { kind: 'charts', names: ['blackout', 'refill'] },
        transitionTable(policies),
        {
          kind: 'paragraph',
          text:
            'Blackout: arrival of the first faulted request to the end of the last, or until a device that had stopped went on. Stale window: from the start of the call to the last request that the old table served; wanted by "old or new, never a fault". Stale: still served by the old table after the call had returned; must be 0. Unmapped: faulted after the call, on a page that the new table does not map: not the switch’s doing. ' +
            'Delayed: slower than the slowest of up to 512 requests before. Stall: longest time between two completions of the device. Entry absent: how long the entry in memory was not present.',
        },
      ],
    },
    {
      id: 'timeline',
      title: 'Around the switch',
      blocks: [
        { kind: 'charts', names: ['throughput', 'latency', 'unit-throughput'] },
        refillTable(policies),
        {
          kind: 'paragraph',
          text: `Windows of ${formatDuration(nsFromPs(study.windowPs))} on each side of the start, summed over all switches. Refilled: the hit rate of 16 requests is back within 1 % of that of the last 512 before the switch. Least bin: the deepest bin after the start of the summed curves, against the mean before.${longerThanWindow(study)}`,
        },
      ],
    },
    {
      id: 'steps',
      title: 'Driver steps',
      blocks: [
        { kind: 'charts', names: ['sequence'] },
        callTable(policies),
        ...policies.flatMap(({ policy, success }) => (success === undefined ? [] : [sequenceTable(policy, success)])),
      ],
    },
  ];
  if (failed) {
    list.push({
      id: 'refused',
      title: 'Refused switches',
      blocks: [
        failureTable(policies),
        ...policies.flatMap(({ policy, failure }) => (failure === undefined ? [] : [sequenceTable(policy, failure)])),
      ],
    });
  }
  if (variants.length > 0) {
    list.push({
      id: 'sensitivity',
      title: 'Sensitivity to invalidation latency',
      blocks: [
        { kind: 'charts', names: ['sensitivity'] },
        sensitivityTable(policies, variants),
        {
          kind: 'paragraph',
          text: 'Half and double scale every latency of the invalidation queue; nested-guest adds 5.5 µs to each tail write: 7.0 to 9.6 µs for a submission in a nested guest against 2.7 to 3.3 µs without the write (xlab-uiuc Fast-and-Safe fork, October 2025, Emerald Rapids; derived).',
        },
      ],
    });
  }
  list.push({ id: 'lanes', title: 'By device and PASID', blocks: policies.map(laneTable) });
  return list;
}
