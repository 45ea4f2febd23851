import type { ServerStatus } from '#calls/top/status';
import type { ConsoleHistory } from './server-history.ts';

/** State of a node of a cluster; `null` if it does not respond in time. */
export interface NodeStatus {
  readonly storage: string;
  readonly status: ServerStatus | null;
}

/** The last hour of a node; `null` if it does not respond in time. */
export interface NodeHistory {
  readonly storage: string;
  readonly history: ConsoleHistory | null;
}

/** Returns the current and past state of the nodes of a cluster. */
export interface NodesSource {
  status(): Promise<readonly NodeStatus[]>;
  history(): Promise<readonly NodeHistory[]>;
}
