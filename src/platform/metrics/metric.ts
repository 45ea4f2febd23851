import { number, object, oneOf, record, type Shaped, text } from '#base/shape';
import type { MetricType } from './text-format.ts';

interface Optional {
  /** True if every process of a server has the same value: it is not added up. */
  readonly isOfServer?: boolean;
  /** Shows it in the console and in `gitaly-ts top`. */
  readonly shown?: ShownAs;
}

const shownAs = {
  title: text,
  /** `cache`: a label has the values `hit` and `miss`, for a hit rate. */
  kind: oneOf('cache', 'counter'),
};
const isShownAs = object(shownAs);
type ShownAs = Shaped<typeof isShownAs>;

/** A metric that people are shown, at one moment. */
export const shownMetric = object({
  ...shownAs,
  /** By the labels as in `/metrics`: `type="hit"`. */
  values: record(number),
});
export type ShownMetric = Shaped<typeof shownMetric>;

/**
 * A metric: all that is known before it counts. It stands in a group of metrics; all groups are on
 * the page of all metrics (`scripts/generate-metrics.ts`).
 */
export interface Metric<T extends MetricType = MetricType, L extends string = string> extends Optional {
  readonly type: T;
  readonly name: string;
  readonly labels: readonly L[];
  /** One line, of `/metrics` and the page. Those of Gitaly's metrics are its own. */
  readonly help: string;
  /** Upper bounds of a histogram, ascending, without infinity; missing if they are configured. */
  readonly buckets?: readonly number[];
}

export type MetricGroup = Readonly<Record<string, Metric>>;

/** Declares a number that only grows. */
export function counter<const L extends string = never>(
  name: string,
  labels: readonly L[],
  help: string,
  optional: Optional = {},
): Metric<'counter', L> {
  return { type: 'counter', name, labels, help, ...optional };
}

/** Declares a number that goes up and down. */
export function gauge<const L extends string = never>(
  name: string,
  labels: readonly L[],
  help: string,
  optional: Optional = {},
): Metric<'gauge', L> {
  return { type: 'gauge', name, labels, help, ...optional };
}

/** Declares counts per bucket. @param buckets missing: those that the registry gets for the group. */
export function histogram<const L extends string = never>(
  name: string,
  labels: readonly L[],
  help: string,
  buckets?: readonly number[],
): Metric<'histogram', L> {
  return { type: 'histogram', name, labels, help, ...(buckets && { buckets }) };
}
