import type { GitalyConfig } from '#platform/config/load-config';
import type { WorkerGreeting } from '#workers/run-worker';

/** The first message of a supervisor to a new worker. */
export interface Greeting extends WorkerGreeting {
  readonly config: GitalyConfig;
  /** A console shows the last hour. */
  readonly keepsHistory: boolean;
}
