import { lazyModule } from '#base/lazy-module';
import { bytes, nothing, number, object, oneOf } from '#base/shape';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import {
  type OtherProcesses,
  type ProcessReport,
  processReport,
  ReportedMetrics,
} from '#platform/metrics/process-group';
import type { ProcessMetrics } from '#platform/metrics/process-metrics';
import type { ProfileKind } from '#platform/profiling/take-profile';
import type { Desk } from './desk.ts';
import type { FamilyWorker } from './family-server.ts';
import type { Link } from './link.ts';
import { answer, asked, protocol, remote, told } from './protocol.ts';

/** Time that a worker has for its metrics; of one that is busy, the last known ones count. */
const REPORT_LIMIT_MS = 1000;
/** Interval at which a worker with calls reports its metrics, for the case that it is killed. */
const REPORT_EVERY_MS = 5000;
/** Processor time since the last report that is worth another one. */
const REPORT_AFTER_US = 100_000;

/** Questions of a supervisor about the process of a worker. */
const PROCESS = protocol('process', {
  report: asked(nothing, processReport),
  profile: asked(object({ kind: oneOf('profile', 'heap'), seconds: number }), bytes),
});

/** Reports that a worker sends by itself. */
const REPORTS = protocol('reports', { metrics: told(processReport) });

const loadProcessMetrics = lazyModule(() => import('#platform/metrics/process-metrics'));
const loadProfiler = lazyModule(() => import('#platform/profiling/take-profile'));

/** Reports what a worker does to its supervisor, as long as the process runs. */
export function reportToSupervisor(link: Link, registry: MetricsRegistry): void {
  let metrics: Promise<ProcessMetrics> | undefined;
  const report = async (): Promise<ProcessReport> => {
    metrics ??= loadProcessMetrics().then((module) => new module.ProcessMetrics());
    return { registry: registry.snapshot(), process: await (await metrics).snapshot() };
  };
  answer(link, PROCESS, {
    report,
    profile: async ({ kind, seconds }, { signal }) => {
      const { takeProfile } = await loadProfiler();
      return await takeProfile(kind, seconds, signal);
    },
  });
  const { metrics: sendMetrics } = remote(link, REPORTS);
  let used = process.cpuUsage();
  let isSending = false;
  setInterval(() => {
    if (isSending) return; // the supervisor does not read: reports would fill the memory
    const { user, system } = process.cpuUsage(used);
    if (user + system < REPORT_AFTER_US) return;
    used = process.cpuUsage();
    isSending = true;
    const onSent = (): void => {
      isSending = false;
    };
    sendMetrics({ registry: registry.snapshot(), process: [] }, { onSent });
  }, REPORT_EVERY_MS).unref();
}

/** Reports the last metrics of a worker that ends. */
export function reportLastMetrics(link: Link, registry: MetricsRegistry): void {
  remote(link, REPORTS).metrics({ registry: registry.snapshot(), process: [] });
}

/** The metrics and profiles of workers, as their supervisor shows them. */
export class WorkersMonitoring implements OtherProcesses {
  readonly #workers: () => readonly FamilyWorker[];
  readonly #reported = new ReportedMetrics();

  constructor(desk: Desk, workers: () => readonly FamilyWorker[]) {
    this.#workers = workers;
    answer(desk, REPORTS, { metrics: (report, { worker }) => this.#reported.note(worker, report) });
  }

  ended(worker: number): void {
    this.#reported.end(worker);
  }

  async reports(): ReturnType<OtherProcesses['reports']> {
    await Promise.all(
      this.#workers().map(async ({ link, number }) => {
        const report = await inTime((options) => remote(link, PROCESS).report(undefined, options));
        if (report !== undefined) this.#reported.note(number, report);
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
    return await remote(link, PROCESS).profile({ kind, seconds }, { signal });
  }
}

/** Asks a worker; `undefined` if it does not respond in time. */
export async function inTime<T>(
  ask: (options: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await ask({ signal: AbortSignal.timeout(REPORT_LIMIT_MS) });
  } catch {
    return undefined; // it is busy, or has ended
  }
}
