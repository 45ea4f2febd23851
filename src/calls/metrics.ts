import { STATUS_CODES } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import type { ApiEndpoint } from '#domain/gitlab-api/http-internal-api';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { SubcommandName } from '#git/command/allowed';
import type { GitalyConfig } from '#platform/config/load-config';
import { ADAPTIVE_LIMITS } from '#platform/metrics/adaptive-limit-metrics';
import { backupMetrics } from '#platform/metrics/backup-metrics';
import { cacheMetrics, TRANSFERS } from '#platform/metrics/cache-metrics';
import { COMMANDS, gitalyMetrics, IN_PROCESS } from '#platform/metrics/gitaly-metrics';
import { grpcServerMetrics } from '#platform/metrics/grpc-metrics';
import { HOUSEKEEPING } from '#platform/metrics/housekeeping-metrics';
import { limitMetrics } from '#platform/metrics/limit-metrics';
import { counter, histogram } from '#platform/metrics/metric';
import { MetricsRegistry, type Observers } from '#platform/metrics/metrics-registry';
import { objectStoreMetrics } from '#platform/metrics/object-store-metrics';
import { packMetrics } from '#platform/metrics/pack-metrics';
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

/** Calls, hooks and requests to GitLab. */
export const SERVER = {
  protocols: counter(
    'gitaly_git_protocol_requests_total',
    ['grpc_service', 'grpc_method', 'git_protocol'],
    'Counter of Git protocol requests',
  ),
  votes: histogram(
    'gitaly_hook_transaction_voting_delay_seconds',
    [],
    'Delay between calling out to transaction service and receiving a response',
  ),
  listedCommits: histogram(
    'gitaly_list_commits_by_oid_request_size',
    [],
    'Number of commits requested in a ListCommitsByOid request',
    LIST_COMMITS_BUCKETS,
  ),
  api: histogram(
    'gitaly_gitlab_api_latency_seconds',
    ['endpoint'],
    "Latency between posting to GitLab's `/internal/` APIs and receiving a response",
  ),
  /** Git commands with words that git must not receive; they were not started. */
  invalidCommands: counter(
    'gitaly_invalid_commands_total',
    ['command'],
    'Total number of invalid arguments tried to execute',
  ),
  badBitmaps: counter(
    'gitaly_bad_bitmap_request_total',
    ['method', 'bitmaps'],
    'RPC calls during which there was not exactly 1 packfile bitmap',
  ),
  smarthttpRequests: negotiationRequests('smarthttp'),
  smarthttpDepth: negotiationDepth('smarthttp'),
  sshRequests: negotiationRequests('ssh'),
  sshDepth: negotiationDepth('ssh'),
};

function negotiationRequests(transport: string) {
  return counter(
    `gitaly_${transport}_packfile_negotiation_requests_total`,
    ['git_negotiation_feature'],
    'Total number of features used for packfile negotiations',
  );
}

function negotiationDepth(transport: string) {
  return histogram(
    `gitaly_${transport}_packfile_negotiation_deepen`,
    [],
    'Distribution of deepen values requested during packfile negotiation',
    DEEPEN_BUCKETS,
  );
}

/** All metrics of a server, each declared once, as functions for the modules that report them. */
export type ServerMetrics = ReturnType<typeof createMetrics>;

export function createMetrics(config: GitalyConfig) {
  const registry = new MetricsRegistry();
  const buckets = config.prometheus.grpcLatencyBuckets;
  const server = registry.declare(SERVER, buckets);
  return {
    registry,
    callers: gitalyMetrics(registry),
    commands: registry.declare(COMMANDS),
    inProcess: registry.declare(IN_PROCESS),
    housekeeping: registry.declare(HOUSEKEEPING, buckets),
    ofMethod: grpcServerMetrics(registry, {
      latencyBuckets: buckets,
      codes: STATUS_CODES.map(statusName),
      methods: servedByGitaly.flatMap(({ methods }) => methods.map(methodInfo).map(methodLabels)),
    }),
    countGitProtocol: (method: { service: string; name: string }, gitProtocol: string) =>
      server.protocols
        .with({
          grpc_service: method.service,
          grpc_method: method.name,
          git_protocol: protocolLabel(gitProtocol),
        })
        .inc(),
    countNegotiation: negotiationCounter(server),
    adaptiveLimits: registry.declare(ADAPTIVE_LIMITS),
    limits: limitMetrics(registry, { latencyBuckets: buckets }),
    backups: backupMetrics(registry),
    objectStores: objectStoreMetrics(registry),
    caches: cacheMetrics(registry),
    packs: packMetrics(registry, { latencyBuckets: buckets }),
    transfers: registry.declare(TRANSFERS),
    countInvalidCommand: (command: SubcommandName) => server.invalidCommands.with({ command }).inc(),
    observeListCommitsByOid: (commits: number) => server.listedCommits.observe(commits),
    /** Counts a fetch from a repository without exactly one bitmap. */
    countBadBitmaps: (method: string, bitmaps: number) =>
      server.badBitmaps.with({ method, bitmaps: String(bitmaps) }).inc(),
    observeVotingDelay: (seconds: number) => server.votes.observe(seconds),
    observeApiLatency: (endpoint: ApiEndpoint, seconds: number) =>
      server.api.with({ endpoint }).observe(seconds),
  };
}

function protocolLabel(gitProtocol: string): string {
  if (gitProtocol === '') return 'v0';
  return gitProtocol === 'version=1' ? 'v1' : gitProtocol === 'version=2' ? 'v2' : 'invalid';
}

function negotiationCounter({
  smarthttpDepth,
  smarthttpRequests,
  sshDepth,
  sshRequests,
}: Observers<typeof SERVER>) {
  const byTransport = {
    smarthttp: { requests: smarthttpRequests, depth: smarthttpDepth },
    ssh: { requests: sshRequests, depth: sshDepth },
  };
  return (
    transport: 'smarthttp' | 'ssh',
    { command, deepen, filter, haves }: NegotiationStatistics,
  ): void => {
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
