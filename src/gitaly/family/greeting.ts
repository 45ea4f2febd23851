import type { GitalyConfig } from '#platform/config/load-config';

/** The first message of a supervisor to a new worker. */
export interface Greeting {
  readonly config: GitalyConfig;
  /** Number of the worker, from 1. */
  readonly worker: number;
}
