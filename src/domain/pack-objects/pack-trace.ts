import { type TraceFile, traceEvents, traceFields } from '../git-service/trace-file.ts';

/** Numbers and durations in git's trace of a pack. */
interface PackTraceEvents {
  /** Numbers by git's name: `written`, `reused/delta`. */
  readonly numbers: ReadonlyMap<string, number>;
  /** Seconds by git's name of the stage: `enumerate-objects`. */
  readonly stages: ReadonlyMap<string, number>;
}

/** Receives git's numbers and durations, for metrics. Names are those of Gitaly's labels. */
export interface PackTraceObserver {
  stage(name: string, seconds: number): void;
  statistic(name: string, value: number): void;
}

const CATEGORY = 'pack-objects';

/** Names of git's numbers: in Gitaly's metric, and in its log. */
const NUMBERS: ReadonlyMap<string, readonly [label: string, field: string]> = new Map([
  ['written', ['written-objects-total', 'written_object_count']],
  ['written/delta', ['written-objects-delta', 'written_object_delta_count']],
  ['reused', ['reused-objects-total', 'reused_objects_count']],
  ['reused/delta', ['reused-objects-delta', 'reused_objects_delta_count']],
  ['pack-reused', ['pack-reused-objects', 'pack_reused_objects_count']],
  ['packs-reused', ['pack-reused-packfiles', 'pack_reused_packfiles_count']],
  [
    'loosen_unused_packed_objects/loosened',
    ['loosened-unused-pack-objects-total', 'loosened_unused_packed_objects'],
  ],
  ['stdin_packs_found', ['stdin-packs-found', 'stdin_packs_found']],
  ['stdin_packs_hints', ['stdin-packs-hints', 'stdin_packs_hints']],
]);

/** Names of git's stages in Gitaly's log; the metric has git's names. */
const STAGES: ReadonlyMap<string, string> = new Map([
  ['enumerate-objects', 'enumerate_objects_ms'],
  ['prepare-pack', 'prepare_pack_ms'],
  ['write-pack-file', 'write_pack_file_ms'],
]);

/**
 * Reports what git wrote about a pack. Call it when git has ended.
 *
 * @returns the fields of the log, with Gitaly's names: `trace2.error` if the trace is unreadable.
 */
export function packTraceFields(
  trace: TraceFile,
  observer: PackTraceObserver,
): Promise<Record<string, unknown>> {
  return traceFields(trace, 'pack_objects_metrics', (text) => reported(packTraceEvents(text), observer));
}

/**
 * Reports objects that were sent as packs have them, without git. @returns the fields of the log,
 * with Gitaly's names.
 */
export function reportReused(
  { count, packs }: { readonly count: number; readonly packs: readonly unknown[] },
  observer: PackTraceObserver,
): Record<string, unknown> {
  const numbers = new Map([
    ['pack-reused', count],
    ['packs-reused', packs.length],
  ]);
  return reported({ numbers, stages: new Map() }, observer);
}

/** Reports objects of a pack that was made without git, as {@link reportReused} does. */
export function reportSent(
  sent: Readonly<Record<'count' | 'deltas' | 'reused' | 'reusedDeltas', number>>,
  observer: PackTraceObserver,
): Record<string, unknown> {
  const numbers = new Map([
    ['written', sent.count],
    ['written/delta', sent.deltas],
    ['reused', sent.reused],
    ['reused/delta', sent.reusedDeltas],
  ]);
  return reported({ numbers, stages: new Map() }, observer);
}

function reported(
  { numbers, stages }: PackTraceEvents,
  observer: PackTraceObserver,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of numbers) {
    const [label, field] = NUMBERS.get(name) ?? [];
    if (label === undefined) continue;
    fields[`pack_objects.${field}`] = value;
    observer.statistic(label, value);
  }
  for (const [name, seconds] of stages) {
    const field = STAGES.get(name);
    if (field === undefined) continue;
    fields[`pack_objects.${field}`] = Math.floor(seconds * 1000);
    observer.stage(name, seconds);
  }
  return fields;
}

/** Adds up the numbers and stages of packs in a trace. */
export function packTraceEvents(text: string): PackTraceEvents {
  const numbers = new Map<string, number>();
  const stages = new Map<string, number>();
  for (const event of traceEvents(text, [`"category":"${CATEGORY}"`])) {
    if (event.event === 'data' && typeof event.key === 'string')
      addTo(numbers, event.key, Number.parseInt(String(event.value), 10));
    // The time since the region was entered.
    if (event.event === 'region_leave' && typeof event.label === 'string')
      addTo(stages, event.label, Number(event.t_rel));
  }
  return { numbers, stages };
}

function addTo(sums: Map<string, number>, name: string, value: number): void {
  if (Number.isFinite(value)) sums.set(name, (sums.get(name) ?? 0) + value);
}
