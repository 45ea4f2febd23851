import type { Logger } from '#platform/log/logger';
import type { MetricsFormat } from '#platform/metrics/text-format';
import type { ServedService } from '#rpc/server/handler';
import type { WebhookStatus } from '#webhooks/webhook-status';
import type { ProcessFamily } from '#workers/family';
import type { PraefectConfig } from '../config/schema.ts';
import type { NodeHealth } from '../elections/node-health.ts';
import type { OnNodeError } from '../family/node-health.ts';
import type { ForgetReplicas } from '../family/replica-changes.ts';
import type { PraefectMetrics } from '../metrics/praefect-metrics.ts';
import type { ReplicationQueue } from '../model/job.ts';
import type { NodesByStorage } from '../nodes/gitaly-node.ts';
import type { FindLost } from '../repair/lost-replicas.ts';
import type { WritePauses } from '../replication/write-pauses.ts';
import type { Router } from '../routing/routes.ts';
import type { LocalHandlers } from '../services/local-handler.ts';
import type { ClusterStatus } from '../status/cluster-status.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import type { WriteLocks } from '../transactions/write-locks.ts';

/** Parts of a Praefect that a backend uses. */
export interface BackendOptions {
  readonly config: PraefectConfig;
  readonly nodes: NodesByStorage;
  readonly metrics: PraefectMetrics;
  readonly logger: Logger;
  /** The other processes of this Praefect; `undefined` if it has one. */
  readonly family: ProcessFamily | undefined;
}

/** Describes where the state of the cluster is kept. */
export interface Backend extends AsyncDisposable {
  readonly router: Router;
  readonly store: ReplicaStore;
  readonly queue: ReplicationQueue;
  readonly pauses: WritePauses;
  /** Services on the state. */
  readonly services: readonly ServedService[];
  /** Methods that praefect serves itself instead of a node. */
  readonly handlers: LocalHandlers;
  readonly health: NodeHealth;
  /** Runs the checks of the cluster. Returns the reasons of those that failed, by name. */
  failedChecks(timeoutMs: number): Promise<ReadonlyMap<string, string>>;
  /** Locks of repositories that all Praefects respect. */
  readonly writeLocks?: WriteLocks;
  /** Renders the metrics that need queries of a database. */
  readonly databaseMetrics?: (format: MetricsFormat) => Promise<string>;
  /** Ends the streams of the change feed, which would last as long as their clients. */
  readonly endWatching?: () => void;
  /** Returns the work of the webhooks, if there are any. */
  readonly webhooks?: () => readonly WebhookStatus[];
  /** Reads the state of the cluster from the database, if there is one. */
  readonly status?: () => Promise<ClusterStatus>;
  /** Called after a write is recorded and before the client gets its response. */
  readonly onRecorded: ForgetReplicas;
  readonly onNodeError: OnNodeError;
  /** Finds replicas that a node has lost, and has them copied again. */
  readonly findLost?: FindLost;
}
