import { familyHead, histogramLines, labelText, sampleLine, type TextFormat } from './text-format.ts';

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Series of one family. What a client can choose (names it sends) must not make the server grow. */
const MAX_SERIES = 10_000;

/** Value of every label of the series that takes what found no place. */
const OVERFLOW = 'overflow';

export interface FamilyOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

/** A number that only grows. */
export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

/** A number that goes up and down. */
export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }
}

/** How often values fell into each bucket, and their sum. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** One for each bound, and one for what is above the last. Not cumulative: the exposition adds them up. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
  }
}

/**
 * All series of one name. Get a series once with {@link with} and keep it: counting is then a plain addition (measured: 4 ns,
 * against 190 ns through the client library).
 */
export class Family<L extends string, S> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** Names of the labels, sorted. */
  readonly labels: readonly L[];
  readonly #create: () => S;
  /** By the values of the labels; the text is what stands between the braces of a line. */
  readonly #series = new Map<string, { readonly text: string; readonly series: S }>();

  constructor(type: MetricType, options: FamilyOptions<L>, create: () => S) {
    this.type = type;
    this.name = options.name;
    this.help = options.help;
    this.labels = [...(options.labels ?? [])].sort();
    this.#create = create;
  }

  /** The series with these label values; made at first use, from then on visible with 0. */
  with(values: Readonly<Record<L, string>>): S {
    const key = this.#keyOf(values);
    const existing = this.#series.get(key);
    if (existing !== undefined) return existing.series;
    if (this.#series.size < MAX_SERIES) return this.#add(key, (label) => values[label]);
    return this.#series.get(OVERFLOW)?.series ?? this.#add(OVERFLOW, () => OVERFLOW);
  }

  /** Takes the series away; it starts again at 0 when it is asked for. */
  remove(values: Readonly<Record<L, string>>): void {
    this.#series.delete(this.#keyOf(values));
  }

  entries(): Iterable<{ readonly text: string; readonly series: S }> {
    return this.#series.values();
  }

  #keyOf(values: Readonly<Record<L, string>>): string {
    let key = '';
    for (const label of this.labels) key += `${values[label]}\0`;
    return key;
  }

  #add(key: string, valueFor: (label: L) => string): S {
    const series = this.#create();
    this.#series.set(key, { text: labelText(this.labels.map((label) => [label, valueFor(label)])), series });
    return series;
  }
}

/** A family together with how its series become lines. */
interface Declared {
  readonly family: { readonly name: string; readonly help: string; readonly type: MetricType };
  readonly lines: () => string;
}

/** The metrics of one server. Declared where they are used, read by the monitoring server. */
export class MetricsRegistry {
  readonly #declared = new Map<string, Declared>();
  readonly #beforeCollect: (() => void)[] = [];

  counter<L extends string = never>(options: FamilyOptions<L>): Family<L, Counter> {
    const family = new Family('counter', options, () => new Counter());
    return this.#declare(family, ({ text, series }) => sampleLine(family.name, text, series.value));
  }

  gauge<L extends string = never>(options: FamilyOptions<L>): Family<L, Gauge> {
    const family = new Family('gauge', options, () => new Gauge());
    return this.#declare(family, ({ text, series }) => sampleLine(family.name, text, series.value));
  }

  /** @param options.buckets upper bounds, ascending, without infinity. */
  histogram<L extends string = never>(options: FamilyOptions<L> & { readonly buckets: readonly number[] }): Family<L, Histogram> {
    const family = new Family('histogram', options, () => new Histogram(options.buckets));
    return this.#declare(family, ({ text, series }) => histogramLines(family.name, text, options.buckets, series));
  }

  /** Runs a function before every reading, to set gauges that cost something to know. */
  beforeCollect(update: () => void): void {
    this.#beforeCollect.push(update);
  }

  /** The exposition of all families that have at least one series, in the order of their names. */
  render(format: TextFormat): string {
    for (const update of this.#beforeCollect) update();
    let text = '';
    for (const name of [...this.#declared.keys()].sort()) {
      const declared = this.#declared.get(name);
      const lines = declared?.lines() ?? '';
      if (declared !== undefined && lines !== '') text += familyHead(declared.family, format) + lines;
    }
    return text;
  }

  #declare<L extends string, S>(
    family: Family<L, S>,
    line: (entry: { readonly text: string; readonly series: S }) => string,
  ): Family<L, S> {
    if (this.#declared.has(family.name)) throw new Error(`the metric ${family.name} is declared twice`);
    const lines = (): string => {
      let text = '';
      for (const entry of family.entries()) text += line(entry);
      return text;
    };
    this.#declared.set(family.name, { family, lines });
    return family;
  }
}
