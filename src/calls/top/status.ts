import { list, number, object, optional, record, type Shaped, text } from '#base/shape';
import { shownMetric } from '#platform/metrics/metric';
import { blockStatus } from '#rpc/server/blocked-calls';
import { statusOfWebhook } from '#webhooks/webhook-status';

/** A git process, or another program that the server runs. */
const processStatus = object({
  pid: number,
  command: text,
  age_ms: number,
  /** Missing if it has just ended, and on systems without `/proc`. */
  cpu_ms: optional(number),
  /** Git directory; empty if it has none. */
  directory: text,
});

export type ProcessStatus = Shaped<typeof processStatus>;

/** A call that runs, or waits for a limit. Texts are empty if they are not known. */
const callStatus = object({
  /** `/gitaly.CommitService/FindCommit` */
  method: text,
  age_ms: number,
  /** Key of the configuration, such as `concurrency[0]`, while the call waits for that limit. */
  waits_for: optional(text),
  storage: text,
  repository: text,
  project: text,
  user: text,
  client: text,
  remote: text,
  correlation_id: text,
  request_messages: number,
  response_messages: number,
  processes: list(processStatus),
  /** Storages to which Praefect passed the call on. */
  nodes: optional(list(text)),
  /** Process that serves it, if the server may have several. */
  worker: optional(number),
});

export type CallStatus = Shaped<typeof callStatus>;

/** A process of a server that may have several. */
const workerStatus = object({
  /** 0 for the one that accepts connections. */
  worker: number,
  pid: number,
  uptime_seconds: number,
  cpu_seconds: number,
  memory_bytes: number,
  call_count: number,
});

export type WorkerStatus = Shaped<typeof workerStatus>;

/** A limit in use: that of an RPC for a repository, or of packs. */
const queueStatus = object({
  /** Key of the configuration. */
  limit: text,
  /** `packs` for a limit of packs. */
  method: text,
  /** Empty for a limit of packs. */
  repository: text,
  /** Client address, of a limit of packs for one client. */
  caller: text,
  running: number,
  waiting: number,
  /** Calls that may run at once; missing for packs. */
  max: optional(number),
});

export type QueueStatus = Shaped<typeof queueStatus>;

/** Calls, queues, processes and caches of a server now: the JSON of `/debug/top`. */
export const statusOfServer = object({
  /** RFC 3339. */
  time: text,
  version: text,
  /** Empty for Praefect, which runs no git. */
  git_version: text,
  pid: number,
  uptime_seconds: number,
  cpu_seconds: number,
  memory_bytes: number,
  /** Number of calls; `calls` lists the oldest of them. */
  call_count: number,
  calls: list(callStatus),
  /** Limits with waiting calls are first. */
  queues: list(queueStatus),
  /** Calls that run git processes, and those that wait for them to end. */
  git: object({ running_calls: number, waiting_calls: number }),
  /** Processes without a running call: shared ones, and those of background jobs. */
  processes: list(processStatus),
  /** The last times in which the event loop was blocked for more than a second, the latest first. */
  blocked: list(blockStatus),
  /** Counters and gauges of the caches, by their names in `/metrics`. */
  caches: record(number),
  /** Metrics that are declared to be shown, by their titles. */
  counters: list(shownMetric),
  /** Present if there are webhooks. */
  webhooks: optional(list(statusOfWebhook)),
  /** The processes that serve calls, if there may be several. */
  workers: optional(list(workerStatus)),
});

export type ServerStatus = Shaped<typeof statusOfServer>;
