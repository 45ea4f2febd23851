import type { ServerStatus } from '#calls/top/status';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { Front } from '#rpc/server/front';
import type { Link } from '#workers/link';

/** The part of a server that its other processes use. */
export interface FamilyServer {
  readonly front: Pick<Front, 'load' | 'moveConnection' | 'receive'>;
  /** Directory of this process, which is removed at its end. */
  readonly directory: string;
  /** Removes what a process has left in repositories that has ended without a clean stop. */
  readonly cleanAfterTheDead: () => void;
  readonly registry: MetricsRegistry;
  readonly status: () => Promise<ServerStatus>;
}

/** A worker that serves calls. */
export interface FamilyWorker {
  readonly number: number;
  readonly link: Link;
}
