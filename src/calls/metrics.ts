import { statusName } from '#base/go/status';
import type { ApiEndpoint } from '#domain/gitlab-api/http-internal-api';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { SubcommandName } from '#git/command/allowed';
import type { GitalyConfig } from '#platform/config/load-config';
import { type AdaptiveLimitMetrics, adaptiveLimitMetrics } from '#platform/metrics/adaptive-limit-metrics';
import { type BackupMetrics, backupMetrics } from '#platform/metrics/backup-metrics';
import {
  type CacheMetrics,
  cacheMetrics,
  type TransferMetrics,
  transferMetrics,
} from '#platform/metrics/cache-metrics';
import {
  type CommandMetrics,
  commandMetrics,
  type GitalyMetrics,
  gitalyMetrics,
  type InProcessMetrics,
  inProcessMetrics,
} from '#platform/metrics/gitaly-metrics';
import { grpcServerMetrics, type MethodLabels, type MethodMetrics } from '#platform/metrics/grpc-metrics';
import { type HousekeepingMetrics, housekeepingMetrics } from '#platform/metrics/housekeeping-metrics';
import { limitMetrics, type MethodLimitMetrics } from '#platform/metrics/limit-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { type ObjectStoreMetrics, objectStoreMetrics } from '#platform/metrics/object-store-metrics';
import { type PackMetrics, packMetrics } from '#platform/metrics/pack-metrics';
import { STATUS_CODES } from '#rpc/common/status-code';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import { methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';

const MAX_DEPTH = 2 ** 31 - 1;
const DEPTH_STEP = (MAX_DEPTH / 20) ** (1 / 3);
/**
 * Buckets for depths of `deepen N`: small depths one by one, then three exponential steps, whose
 * last is just below the largest depth, as in Gitaly, which has a bucket for that itself.
 */
const DEEPEN_BUCKETS = [
  ...[1, 2, 5, 10, 20],
  20 * DEPTH_STEP,
  20 * DEPTH_STEP * DEPTH_STEP,
  20 * DEPTH_STEP * DEPTH_STEP * DEPTH_STEP,
  MAX_DEPTH,
];

/** As in Gitaly 19.0. */
const LIST_COMMITS_BUCKETS = [0.001, 1, 5, 10, 20];

/** All metrics of a server, each declared once, as functions for the modules that report them. */
export interface ServerMetrics {
  readonly registry: MetricsRegistry;
  readonly callers: GitalyMetrics;
  readonly commands: CommandMetrics;
  readonly inProcess: InProcessMetrics;
  readonly housekeeping: HousekeepingMetrics;
  readonly ofMethod: (method: MethodLabels) => MethodMetrics;
  countGitProtocol(method: { service: string; name: string }, gitProtocol: string): void;
  countNegotiation(transport: 'smarthttp' | 'ssh', statistics: NegotiationStatistics): void;
  readonly adaptiveLimits: AdaptiveLimitMetrics;
  readonly limits: (service: string, method: string) => MethodLimitMetrics;
  readonly backups: BackupMetrics;
  readonly objectStores: ObjectStoreMetrics;
  readonly caches: CacheMetrics;
  readonly packs: PackMetrics;
  readonly transfers: TransferMetrics;
  /** A git command with words that git must not receive; it was not started. */
  countInvalidCommand(command: SubcommandName): void;
  observeListCommitsByOid(commits: number): void;
  /** A fetch from a repository without exactly one bitmap. */
  countBadBitmaps(method: string, bitmaps: number): void;
  observeVotingDelay(seconds: number): void;
  observeApiLatency(endpoint: ApiEndpoint, seconds: number): void;
}

export function createMetrics(config: GitalyConfig): ServerMetrics {
  const registry = new MetricsRegistry();
  const buckets = config.prometheus.grpcLatencyBuckets;
  const protocols = registry.counter({
    name: 'gitaly_git_protocol_requests_total',
    help: 'Counter of Git protocol requests',
    labels: ['grpc_service', 'grpc_method', 'git_protocol'],
  });
  const votes = registry
    .histogram({
      name: 'gitaly_hook_transaction_voting_delay_seconds',
      help: 'Delay between calling out to transaction service and receiving a response',
      buckets,
    })
    .with({});
  const listedCommits = registry
    .histogram({
      name: 'gitaly_list_commits_by_oid_request_size',
      help: 'Number of commits requested in a ListCommitsByOid request',
      buckets: LIST_COMMITS_BUCKETS,
    })
    .with({});
  const api = registry.histogram({
    name: 'gitaly_gitlab_api_latency_seconds',
    help: "Latency between posting to GitLab's `/internal/` APIs and receiving a response",
    labels: ['endpoint'],
    buckets,
  });
  return {
    registry,
    callers: gitalyMetrics(registry),
    commands: commandMetrics(registry),
    inProcess: inProcessMetrics(registry),
    housekeeping: housekeepingMetrics(registry, { latencyBuckets: buckets }),
    ofMethod: grpcServerMetrics(registry, {
      latencyBuckets: buckets,
      codes: STATUS_CODES.map(statusName),
      methods: servedByGitaly.flatMap(({ methods }) => methods.map(methodInfo).map(methodLabels)),
    }),
    countGitProtocol: ({ service: grpc_service, name: grpc_method }, gitProtocol) =>
      protocols.with({ grpc_service, grpc_method, git_protocol: protocolLabel(gitProtocol) }).inc(),
    countNegotiation: negotiationCounter(registry),
    adaptiveLimits: adaptiveLimitMetrics(registry),
    limits: limitMetrics(registry, { latencyBuckets: buckets }),
    backups: backupMetrics(registry),
    objectStores: objectStoreMetrics(registry),
    caches: cacheMetrics(registry),
    packs: packMetrics(registry, { latencyBuckets: buckets }),
    transfers: transferMetrics(registry),
    observeListCommitsByOid: (commits) => listedCommits.observe(commits),
    ...oddCallCounters(registry),
    observeVotingDelay: (seconds) => votes.observe(seconds),
    observeApiLatency: (endpoint, seconds) => api.with({ endpoint }).observe(seconds),
  };
}

/** Counts calls that Gitaly counts by what is wrong with their words or their repository. */
function oddCallCounters(
  registry: MetricsRegistry,
): Pick<ServerMetrics, 'countInvalidCommand' | 'countBadBitmaps'> {
  const invalidCommands = registry.counter({
    name: 'gitaly_invalid_commands_total',
    help: 'Total number of invalid arguments tried to execute',
    labels: ['command'],
  });
  const badBitmaps = registry.counter({
    name: 'gitaly_bad_bitmap_request_total',
    help: 'RPC calls during which there was not exactly 1 packfile bitmap',
    labels: ['method', 'bitmaps'],
  });
  return {
    countInvalidCommand: (command) => invalidCommands.with({ command }).inc(),
    countBadBitmaps: (method, bitmaps) => badBitmaps.with({ method, bitmaps: String(bitmaps) }).inc(),
  };
}

function protocolLabel(gitProtocol: string): string {
  if (gitProtocol === '') return 'v0';
  return gitProtocol === 'version=1' ? 'v1' : gitProtocol === 'version=2' ? 'v2' : 'invalid';
}

function negotiationCounter(registry: MetricsRegistry): ServerMetrics['countNegotiation'] {
  const declare = (transport: string) => ({
    requests: registry.counter({
      name: `gitaly_${transport}_packfile_negotiation_requests_total`,
      help: 'Total number of features used for packfile negotiations',
      labels: ['git_negotiation_feature'],
    }),
    depth: registry
      .histogram({
        name: `gitaly_${transport}_packfile_negotiation_deepen`,
        help: 'Distribution of deepen values requested during packfile negotiation',
        buckets: DEEPEN_BUCKETS,
      })
      .with({}),
  });
  const byTransport = { smarthttp: declare('smarthttp'), ssh: declare('ssh') };
  return (transport, { command, deepen, filter, haves }) => {
    const { requests, depth } = byTransport[transport];
    const features = [
      'total',
      deepen !== '' && 'deepen',
      filter !== '' && 'filter',
      haves > 0 && 'have',
      command,
    ];
    for (const feature of features) if (feature) requests.with({ git_negotiation_feature: feature }).inc();
    const [, commits] = /^deepen (\d+)$/.exec(deepen) ?? [];
    if (commits !== undefined) depth.observe(Number(commits));
  };
}
