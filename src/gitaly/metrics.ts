import type { ApiEndpoint } from '#domain/gitlab-api/http-internal-api';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import type { GitalyConfig } from '#platform/config/load-config';
import { type CommandMetrics, commandMetrics, type GitalyMetrics, gitalyMetrics } from '#platform/metrics/gitaly-metrics';
import { grpcServerMetrics, type MethodLabels, type MethodMetrics } from '#platform/metrics/grpc-server-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { STATUS_CODES, statusGoName } from '#rpc/common/status-code';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import { methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';

const MAX_DEPTH = 2 ** 31 - 1;
/** Depths of `deepen N`: small ones one by one, then three exponential steps to the largest (as Gitaly has them). */
const DEEPEN_BUCKETS = [1, 2, 5, 10, 20, ...[1 / 3, 2 / 3, 1].map((share) => 20 * (MAX_DEPTH / 20) ** share)];

/** All metrics of a server, each declared once, as functions for the rooms that report. */
export interface ServerMetrics {
  readonly registry: MetricsRegistry;
  readonly callers: GitalyMetrics;
  readonly commands: CommandMetrics;
  readonly ofMethod: (method: MethodLabels) => MethodMetrics;
  countGitProtocol(method: { service: string; name: string }, gitProtocol: string): void;
  countNegotiation(transport: 'smarthttp' | 'ssh', statistics: NegotiationStatistics): void;
  countInfoRefsCache(event: 'attempt' | 'hit' | 'miss' | 'err'): void;
  observeVotingDelay(seconds: number): void;
  observeApiLatency(endpoint: ApiEndpoint, seconds: number): void;
}

export function createMetrics(config: GitalyConfig): ServerMetrics {
  const registry = new MetricsRegistry();
  const buckets = config.prometheus.grpcLatencyBuckets;
  const protocols = registry.counter({
    name: 'gitaly_git_protocol_requests_total',
    help: 'Requests by version of the git protocol.',
    labels: ['grpc_service', 'grpc_method', 'git_protocol'],
  });
  const attempts = registry.counter({
    name: 'gitaly_inforef_cache_attempt_total',
    help: 'Advertisements that the cache was asked for.',
  });
  const cache = registry.counter({
    name: 'gitaly_inforef_cache_hit_miss_total',
    help: 'Answers of the cache of advertisements.',
    labels: ['type'],
  });
  const votes = registry.histogram({
    name: 'gitaly_hook_transaction_voting_delay_seconds',
    help: 'Time from a vote to its outcome.',
    buckets,
  });
  const api = registry.histogram({
    name: 'gitaly_gitlab_api_latency_seconds',
    help: 'Time of calls of the GitLab internal API.',
    labels: ['endpoint'],
    buckets,
  });
  return {
    registry,
    callers: gitalyMetrics(registry),
    commands: commandMetrics(registry),
    ofMethod: grpcServerMetrics(registry, {
      latencyBuckets: buckets,
      codes: STATUS_CODES.map(statusGoName),
      methods: servedByGitaly.flatMap((service) => service.methods.map((method) => methodLabels(methodInfo(method)))),
    }),
    countGitProtocol: ({ service, name }, gitProtocol) =>
      protocols.with({ grpc_service: service, grpc_method: name, git_protocol: protocolLabel(gitProtocol) }).inc(),
    countNegotiation: negotiationCounter(registry),
    countInfoRefsCache: (event) => (event === 'attempt' ? attempts.with({}) : cache.with({ type: event })).inc(),
    observeVotingDelay: (seconds) => votes.with({}).observe(seconds),
    observeApiLatency: (endpoint, seconds) => api.with({ endpoint }).observe(seconds),
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
      help: 'Negotiations, by what the client asked for.',
      labels: ['git_negotiation_feature'],
    }),
    depth: registry.histogram({
      name: `gitaly_${transport}_packfile_negotiation_deepen`,
      help: 'Depths that shallow clients asked for.',
      buckets: DEEPEN_BUCKETS,
    }),
  });
  const byTransport = { smarthttp: declare('smarthttp'), ssh: declare('ssh') };
  return (transport, { command, deepen, filter, haves }) => {
    const { requests, depth } = byTransport[transport];
    const features = ['total', deepen !== '' && 'deepen', filter !== '' && 'filter', haves > 0 && 'have', command];
    for (const feature of features) if (feature) requests.with({ git_negotiation_feature: feature }).inc();
    const [, commits] = /^deepen (\d+)$/.exec(deepen) ?? [];
    if (commits !== undefined) depth.with({}).observe(Number(commits));
  };
}
