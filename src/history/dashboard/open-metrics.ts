/**
 * `metrics.prom`: the newest entry in the OpenMetrics text format 1.0. Gauges alone, so that it is the older Prometheus
 * text format, too, which the text-file collector of the node exporter reads.
 */
import { withoutLabels } from '../../report/metrics/metric-name.ts';
import type { Dashboard, DashboardSeries } from './schema.ts';

type Labels = Readonly<Record<string, string>>;

/** A family of gauges with its samples. */
interface Family {
  readonly name: string;
  readonly help: string;
  readonly samples: { readonly labels: Labels; readonly value: number }[];
}

/** The text; ends with `# EOF`. */
export function openMetrics(dashboard: Dashboard): string {
  const lines: string[] = [];
  for (const { name, help, samples } of families(dashboard)) {
    lines.push(`# TYPE ${name} gauge`, `# HELP ${name} ${escapeText(help)}`);
    for (const { labels, value } of samples) lines.push(`${name}{${labelText(labels)}} ${value}`);
  }
  return `${[...lines, '# EOF'].join('\n')}\n`;
}

function families({ status, series, plan }: Dashboard): Family[] {
  const common = { plan: plan.name };
  const one = (name: string, help: string, value: number): Family => ({
    name: `iommu_replay_nightly_${name}`,
    help,
    samples: [{ labels: common, value }],
  });
  const gates = Object.entries(status.gates).map(([verdict, value]) => ({ labels: { ...common, verdict }, value }));
  const unexplained = status.unexplained.reduce((sum, { metrics }) => sum + metrics.length, 0);
  return [
    {
      name: 'iommu_replay_nightly_newest_entry',
      help: 'Always 1; the labels tell which entry the others are of.',
      samples: [
        {
          labels: {
            ...common,
            id: status.entry,
            date: status.date,
            tool_version: status.tool_version,
            label: status.label ?? '',
            commit: status.commit ?? '',
          },
          value: 1,
        },
      ],
    },
    one('entry_number', 'Number of the newest entry.', Number(status.entry)),
    one('passed', '1 when the newest entry is complete and passed every gate.', status.verdict === 'pass' ? 1 : 0),
    one('complete', '1 when no job of the newest entry failed.', status.verdict === 'incomplete' ? 0 : 1),
    {
      name: 'iommu_replay_nightly_gates',
      help: 'Gates of the newest entry by verdict.',
      samples: gates,
    },
    one('unexplained_changes', 'Metrics that changed with profiles, workload and tool the same.', unexplained),
    ...valueFamilies(series, common),
  ];
}

/** One family a metric; elements of lists are told apart by the label `metric`. */
function valueFamilies(series: readonly DashboardSeries[], common: Labels): Family[] {
  const byName = new Map<string, Family>();
  for (const { metric, newest, unit, run, case: key, label } of series) {
    if (newest === null) continue;
    const plain = withoutLabels(metric).replaceAll('[]', '');
    const name = `iommu_replay_${plain.replace(/[^a-zA-Z0-9_]/g, '_')}`;
    const help = `${plain} of report.json, newest entry; unit: ${unit}.`;
    const family = byName.get(name) ?? { name, help, samples: [] };
    family.samples.push({ labels: { ...common, run, case: key, series: label, metric }, value: newest });
    byName.set(name, family);
  }
  return [...byName.values()];
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeText(value)}"`)
    .join(',');
}

/** As the format has it for label values and help texts. */
function escapeText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
