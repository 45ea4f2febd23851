import { object, type Shaped } from '#base/shape';
import type { ProfileKind } from '../profiling/take-profile.ts';
import {
  mergeSnapshots,
  type RegistrySnapshot,
  registrySnapshot,
  totalsOf,
  withLabel,
} from './registry-snapshot.ts';
import { labelText } from './text-format.ts';

/** Metrics of one process of a server at one moment. */
export const processReport = object({
  /** Metrics of the server. */
  registry: registrySnapshot,
  /** Metrics of the process itself. */
  process: registrySnapshot,
});

export type ProcessReport = Shaped<typeof processReport>;

/** The further processes of a server, for its monitoring. */
export interface OtherProcesses {
  /** Returns the metrics of running processes by number, and the totals of ended ones. */
  reports(): Promise<{
    readonly running: ReadonlyMap<number, ProcessReport>;
    readonly ended: RegistrySnapshot;
  }>;
  /** Returns the numbers of running processes. */
  workers(): readonly number[];
  /** Takes a profile of one process; `undefined` if there is none with this number. */
  profile(
    worker: number,
    kind: ProfileKind,
    seconds: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>;
}

/** Merges the metrics of the processes of a server. Those of the processes get the label `worker`. */
export async function mergeReports(own: ProcessReport, others: OtherProcesses): Promise<RegistrySnapshot> {
  const { running, ended } = await others.reports();
  const all = new Map([[0, own], ...running]);
  const registries = [...all.values()].map(({ registry }) => registry);
  const labelled = [...all].map(([worker, { process }]) =>
    withLabel(process, labelText([['worker', String(worker)]])),
  );
  return mergeSnapshots([...registries, ended, ...labelled]);
}

/**
 * The last known metrics of processes. Counters never decrease: the counts of a process are kept
 * after its end.
 */
export class ReportedMetrics {
  readonly #last = new Map<number, ProcessReport>();
  #ended: RegistrySnapshot = [];

  /** Totals of the processes that have ended. */
  get ended(): RegistrySnapshot {
    return this.#ended;
  }

  /** Last reports of the processes that run, by their numbers. */
  get running(): ReadonlyMap<number, ProcessReport> {
    return this.#last;
  }

  note(worker: number, report: ProcessReport): void {
    this.#last.set(worker, report);
  }

  /** Notes that a process has ended. */
  end(worker: number): void {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    this.#ended = mergeSnapshots([this.#ended, totalsOf(last.registry)]);
  }
}
