import { either, flag, list, number, object, oneOf, pair, type Shaped, text } from '#base/shape';
import { familyHead, histogramLines, METRIC_TYPES, type MetricsFormat, sampleLine } from './text-format.ts';

/** Value of a histogram's series. Counts are not cumulative. */
const histogramValue = object({ counts: list(number), sum: number });
export type HistogramValue = Shaped<typeof histogramValue>;

/** A family at one moment, as plain values: another process may render it. */
const familySnapshot = object({
  name: text,
  help: text,
  type: oneOf(...METRIC_TYPES),
  /** True if every process of a server has the same value. */
  isOfServer: flag,
  /** Upper bounds of a histogram. */
  bounds: list(number),
  /** Each series with the part between the braces of its line. */
  series: list(pair(text, either(number, histogramValue))),
});
export type FamilySnapshot = Shaped<typeof familySnapshot>;

export const registrySnapshot = list(familySnapshot);
export type RegistrySnapshot = Shaped<typeof registrySnapshot>;

/** Renders the families that have a series, in the order of their names. */
export function renderSnapshot(snapshot: RegistrySnapshot, format: MetricsFormat): string {
  const sorted = snapshot.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return sorted
    .filter(({ series }) => series.length > 0)
    .map((family) => familyHead(family, format) + family.series.map((each) => lineOf(family, each)).join(''))
    .join('');
}

function lineOf({ name, bounds }: FamilySnapshot, [text, value]: FamilySnapshot['series'][number]): string {
  return typeof value === 'number'
    ? sampleLine(name, text, value)
    : histogramLines(name, text, bounds, value);
}

/**
 * Adds up the families of several processes. For a value that exists once per server, the first is
 * used.
 */
export function mergeSnapshots(snapshots: readonly RegistrySnapshot[]): RegistrySnapshot {
  const families = Map.groupBy(snapshots.flat(), ({ name }) => name);
  return [...families.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const series = new Map<string, number | HistogramValue>();
    for (const [text, value] of group.flatMap((each) => each.series)) {
      const before = series.get(text);
      if (before === undefined) series.set(text, value);
      else if (!first.isOfServer) series.set(text, sumOf(before, value));
    }
    return [{ ...first, series: [...series] }];
  });
}

function sumOf(a: number | HistogramValue, b: number | HistogramValue): number | HistogramValue {
  if (typeof a === 'number' || typeof b === 'number')
    return (typeof a === 'number' ? a : 0) + (typeof b === 'number' ? b : 0);
  return { counts: a.counts.map((count, index) => count + (b.counts[index] ?? 0)), sum: a.sum + b.sum };
}

/** Returns the metrics that are kept after the end of a process: counters and histograms. */
export function totalsOf(snapshot: RegistrySnapshot): RegistrySnapshot {
  return snapshot.filter(({ type }) => type !== 'gauge');
}

/** Returns the same series with one more label. */
export function withLabel(snapshot: RegistrySnapshot, label: string): RegistrySnapshot {
  return snapshot.map((family) => ({
    ...family,
    series: family.series.map(([text, value]) => [text === '' ? label : `${text},${label}`, value]),
  }));
}
