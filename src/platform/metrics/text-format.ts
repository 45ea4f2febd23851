import { formatFloat } from '#base/go/format-float';

export const METRIC_TYPES = ['counter', 'gauge', 'histogram'] as const;
export type MetricType = (typeof METRIC_TYPES)[number];

/**
 * The plain text format, or OpenMetrics, in which a counter's name is written without its suffix.
 */
export type MetricsFormat = 'text' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<MetricsFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Returns the two lines before the series of a family. */
export function familyHead(
  family: { name: string; help: string; type: MetricType },
  format: MetricsFormat,
): string {
  const name =
    format === 'openmetrics' && family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name;
  const help = family.help.replace(/[\\\n]/g, (char) => (char === '\n' ? '\\n' : '\\\\'));
  return `# HELP ${name} ${help}\n# TYPE ${name} ${family.type}\n`;
}

/** Formats labels as between the braces: `grpc_code="OK",grpc_type="unary"`. */
export function labelText(labels: Iterable<readonly [name: string, value: string]>): string {
  let text = '';
  for (const [name, value] of labels) text += `${text === '' ? '' : ','}${name}="${escapeValue(value)}"`;
  return text;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));
}

/** Returns one line: a series and its value. */
export function sampleLine(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${numberText(value)}\n` : `${name}{${labels}} ${numberText(value)}\n`;
}

/**
 * Returns the lines of a histogram. @param counts one for each bound, and one for values above the
 * last; not cumulative.
 */
export function histogramLines(
  name: string,
  labels: string,
  bounds: readonly number[],
  { counts, sum }: { readonly counts: readonly number[]; readonly sum: number },
): string {
  let text = '';
  let total = 0;
  const before = labels === '' ? '' : `${labels},`;
  for (let index = 0; index <= bounds.length; index++) {
    total += counts[index] ?? 0;
    const bound = bounds[index];
    text += `${name}_bucket{${before}le="${bound === undefined ? '+Inf' : formatFloat(bound)}"} ${total}\n`;
  }
  return text + sampleLine(`${name}_sum`, labels, sum) + sampleLine(`${name}_count`, labels, total);
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
