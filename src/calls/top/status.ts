import type { ShownMetric } from '#platform/metrics/metric';
import type { BlockStatus } from '#rpc/server/blocked-calls';
import type { WebhookStatus } from '#webhooks/webhook-status';

/** A git process, or another program that the server runs. */
export interface ProcessStatus {
  readonly pid: number;
  readonly command: string;
  readonly age_ms: number;
  /** Missing if it has just ended, and on systems without `/proc`. */
  readonly cpu_ms?: number;
  /** Git directory; empty if it has none. */
  readonly directory: string;
}

/** A call that runs, or waits for a limit. Texts are empty if they are not known. */
export interface CallStatus {
  /** `/gitaly.CommitService/FindCommit` */
  readonly method: string;
  readonly age_ms: number;
  /** Key of the configuration, such as `concurrency[0]`, while the call waits for that limit. */
  readonly waits_for?: string;
  readonly storage: string;
  readonly repository: string;
  readonly project: string;
  readonly user: string;
  readonly client: string;
  readonly remote: string;
  readonly correlation_id: string;
  readonly request_messages: number;
  readonly response_messages: number;
  readonly processes: readonly ProcessStatus[];
  /** Storages to which Praefect passed the call on. */
  readonly nodes?: readonly string[];
  /** Process that serves it, if the server may have several. */
  readonly worker?: number;
}

/** A process of a server that may have several. */
export interface WorkerStatus {
  /** 0 for the one that accepts connections. */
  readonly worker: number;
  readonly pid: number;
  readonly uptime_seconds: number;
  readonly cpu_seconds: number;
  readonly memory_bytes: number;
  readonly call_count: number;
}

/** A limit in use: that of an RPC for a repository, or of packs. */
export interface QueueStatus {
  /** Key of the configuration. */
  readonly limit: string;
  /** `packs` for a limit of packs. */
  readonly method: string;
  /** Empty for a limit of packs. */
  readonly repository: string;
  /** Client address, of a limit of packs for one client. */
  readonly caller: string;
  readonly running: number;
  readonly waiting: number;
  /** Calls that may run at once; missing for packs. */
  readonly max?: number;
}

/** Calls, queues, processes and caches of a server now: the JSON of `/debug/top`. */
export interface ServerStatus {
  /** RFC 3339. */
  readonly time: string;
  readonly version: string;
  /** Empty for Praefect, which runs no git. */
  readonly git_version: string;
  readonly pid: number;
  readonly uptime_seconds: number;
  readonly cpu_seconds: number;
  readonly memory_bytes: number;
  /** Number of calls; `calls` lists the oldest of them. */
  readonly call_count: number;
  readonly calls: readonly CallStatus[];
  /** Limits with waiting calls are first. */
  readonly queues: readonly QueueStatus[];
  /** Calls that run git processes, and those that wait for them to end. */
  readonly git: { readonly running_calls: number; readonly waiting_calls: number };
  /** Processes without a running call: shared ones, and those of background jobs. */
  readonly processes: readonly ProcessStatus[];
  /** The last times in which the event loop was blocked for more than a second, the latest first. */
  readonly blocked: readonly BlockStatus[];
  /** Counters and gauges of the caches, by their names in `/metrics`. */
  readonly caches: Readonly<Record<string, number>>;
  /** Metrics that are declared to be shown, by their titles. */
  readonly counters: readonly ShownMetric[];
  /** Present if there are webhooks. */
  readonly webhooks?: readonly WebhookStatus[];
  /** The processes that serve calls, if there may be several. */
  readonly workers?: readonly WorkerStatus[];
}
