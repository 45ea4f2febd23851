import { lazyModule } from '#base/lazy-module';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { type OtherProcesses, type ProcessReport, ReportedMetrics } from '#platform/metrics/process-group';
import type { ProcessMetrics } from '#platform/metrics/process-metrics';
import type { ProfileKind } from '#platform/profiling/take-profile';
import type { Desk } from './desk.ts';
import type { FamilyWorker } from './family-server.ts';
import type { Link } from './link.ts';

const METRICS = 'metrics';
const PROFILE = 'profile';

/** Time that a worker has for its metrics; of one that is busy, the last known ones count. */
const REPORT_LIMIT_MS = 1000;
/** Interval at which a worker with calls reports its metrics, for the case that it is killed. */
const REPORT_EVERY_MS = 5000;
/** Processor time since the last report that is worth another one. */
const REPORT_AFTER_US = 100_000;

interface WantedProfile {
  readonly kind: ProfileKind;
  readonly seconds: number;
}

const loadProcessMetrics = lazyModule(() => import('#platform/metrics/process-metrics'));
const loadProfiler = lazyModule(() => import('#platform/profiling/take-profile'));

/** Reports what a worker does to its supervisor, as long as the process runs. */
export function reportToSupervisor(link: Link, registry: MetricsRegistry): void {
  let metrics: Promise<ProcessMetrics> | undefined;
  const report = async (): Promise<ProcessReport> => {
    metrics ??= loadProcessMetrics().then((module) => new module.ProcessMetrics());
    return { registry: registry.snapshot(), process: await (await metrics).snapshot() };
  };
  link.onAsked(METRICS, async () => ({ value: await report() }));
  link.onAsked(PROFILE, async (value, { signal }) => {
    const { kind, seconds } = value as WantedProfile; // from `profile` below
    const { takeProfile } = await loadProfiler();
    return { value: await takeProfile(kind, seconds, signal) };
  });
  let used = process.cpuUsage();
  let isSending = false;
  setInterval(() => {
    if (isSending) return; // the supervisor does not read: reports would fill the memory
    const { user, system } = process.cpuUsage(used);
    if (user + system < REPORT_AFTER_US) return;
    used = process.cpuUsage();
    isSending = true;
    const last = { registry: registry.snapshot(), process: [] } satisfies ProcessReport;
    link.tell(METRICS, last, undefined, () => {
      isSending = false;
    });
  }, REPORT_EVERY_MS).unref();
}

/** Reports the last metrics of a worker that ends. */
export function reportLastMetrics(link: Link, registry: MetricsRegistry): void {
  link.tell(METRICS, { registry: registry.snapshot(), process: [] } satisfies ProcessReport);
}

/** The metrics and profiles of workers, as their supervisor shows them. */
export class WorkersMonitoring implements OtherProcesses {
  readonly #workers: () => readonly FamilyWorker[];
  readonly #reported = new ReportedMetrics();

  constructor(desk: Desk, workers: () => readonly FamilyWorker[]) {
    this.#workers = workers;
    // The types of values are those of the functions above.
    desk.onTold(METRICS, (value, worker) => this.#reported.note(worker, value as ProcessReport));
  }

  /** Notes that a worker has ended. */
  ended(worker: number): void {
    this.#reported.end(worker);
  }

  async reports(): ReturnType<OtherProcesses['reports']> {
    await Promise.all(
      this.#workers().map(async ({ link, number }) => {
        const report = await askInTime(link, METRICS);
        if (report !== undefined) this.#reported.note(number, report as ProcessReport);
      }),
    );
    return { running: this.#reported.running, ended: this.#reported.ended };
  }

  workers(): readonly number[] {
    return this.#workers().map(({ number }) => number);
  }

  async profile(
    worker: number,
    kind: ProfileKind,
    seconds: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const link = this.#workers().find(({ number }) => number === worker)?.link;
    if (link === undefined) return undefined;
    const { value } = await link.ask(PROFILE, { kind, seconds } satisfies WantedProfile, { signal });
    return value as Uint8Array;
  }
}

/** Asks a worker; `undefined` if it does not respond in time. */
export async function askInTime(link: Link, topic: string, value?: unknown): Promise<unknown> {
  try {
    return (await link.ask(topic, value, { signal: AbortSignal.timeout(REPORT_LIMIT_MS) })).value;
  } catch {
    return undefined; // it is busy, or has ended
  }
}
