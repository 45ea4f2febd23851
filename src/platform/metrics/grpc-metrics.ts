import { counter, histogram } from './metric.ts';
import type { Counter, Histogram, MetricsRegistry } from './metrics-registry.ts';

/**
 * Labels of a method: `{ type: 'unary', service: 'gitaly.CommitService', method: 'FindCommit' }`.
 */
export interface MethodLabels {
  readonly type: 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';
  readonly service: string;
  readonly method: string;
}

export interface MethodMetrics {
  readonly started: Counter;
  readonly messagesReceived: Counter;
  readonly messagesSent: Counter;
  /** Seconds from the start to the end of a call; `undefined` without buckets. Created when read. */
  readonly handlingSeconds: Histogram | undefined;
  /** Returns the counter of a status. @param code Go's name of the status: `OK`, `NotFound`. */
  handled(code: string): Counter;
}

export interface GrpcMetricsOptions {
  /** `prometheus.grpc_latency_buckets` in seconds; an empty list disables the histogram. */
  readonly latencyBuckets: readonly number[];
}

export interface GrpcServerMetricsOptions extends GrpcMetricsOptions {
  /** Go's names of all statuses. */
  readonly codes: readonly string[];
  /**
   * Every registered method. Its counters start with 0; those of statuses other than OK, and its
   * histogram, with its first call: 200 methods have some 5,000 series that most servers never use.
   */
  readonly methods: readonly MethodLabels[];
}

/**
 * Declares `grpc_server_*`. Returns a function that returns the series of a method; the series of
 * an unregistered method are created at first use.
 */
export function grpcServerMetrics(
  registry: MetricsRegistry,
  { codes, latencyBuckets, methods }: GrpcServerMetricsOptions,
): (method: MethodLabels) => MethodMetrics {
  const create = methodMetrics(registry, { calls: SERVER_CALLS, times: SERVER_CALL_TIMES }, latencyBuckets);
  const known = new Map(
    methods.map((method) => [`/${method.service}/${method.method}`, create(method, codes)]),
  );
  return (method) => known.get(`/${method.service}/${method.method}`) ?? create(method, codes);
}

/**
 * Declares `grpc_client_*`: calls of other servers. Returns a function that returns the series of a
 * method, which begin with its first call.
 */
export function grpcClientMetrics(
  registry: MetricsRegistry,
  { latencyBuckets }: GrpcMetricsOptions,
): (method: MethodLabels) => MethodMetrics {
  const create = methodMetrics(registry, { calls: CLIENT_CALLS, times: CLIENT_CALL_TIMES }, latencyBuckets);
  return (method) => create(method, []);
}

const LABELS = ['grpc_type', 'grpc_service', 'grpc_method'] as const;

/** Calls of this server. The texts are those of the Go libraries. */
export const SERVER_CALLS = {
  started: counter('grpc_server_started_total', LABELS, 'Total number of RPCs started on the server.'),
  handled: counter(
    'grpc_server_handled_total',
    [...LABELS, 'grpc_code'],
    'Total number of RPCs completed on the server, regardless of success or failure.',
  ),
  received: counter(
    'grpc_server_msg_received_total',
    LABELS,
    'Total number of RPC stream messages received on the server.',
  ),
  sent: counter(
    'grpc_server_msg_sent_total',
    LABELS,
    'Total number of gRPC stream messages sent by the server.',
  ),
};

export const SERVER_CALL_TIMES = {
  seconds: histogram(
    'grpc_server_handling_seconds',
    LABELS,
    'Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.',
  ),
};

/** Calls of other servers. */
export const CLIENT_CALLS = {
  started: counter('grpc_client_started_total', LABELS, 'Total number of RPCs started on the client.'),
  handled: counter(
    'grpc_client_handled_total',
    [...LABELS, 'grpc_code'],
    'Total number of RPCs completed by the client, regardless of success or failure.',
  ),
  received: counter(
    'grpc_client_msg_received_total',
    LABELS,
    'Total number of RPC stream messages received by the client.',
  ),
  sent: counter(
    'grpc_client_msg_sent_total',
    LABELS,
    'Total number of gRPC stream messages sent by the client.',
  ),
};

export const CLIENT_CALL_TIMES = {
  seconds: histogram(
    'grpc_client_handling_seconds',
    LABELS,
    'Histogram of response latency (seconds) of the gRPC until it is finished by the application.',
  ),
};

interface CallGroups {
  readonly calls: typeof SERVER_CALLS | typeof CLIENT_CALLS;
  readonly times: typeof SERVER_CALL_TIMES | typeof CLIENT_CALL_TIMES;
}

/**
 * @returns a function that creates the series of a method. The first of the given statuses starts
 *   with 0, the others do from the first call on.
 */
function methodMetrics(
  registry: MetricsRegistry,
  { calls, times }: CallGroups,
  latencyBuckets: readonly number[],
): (method: MethodLabels, codes: readonly string[]) => MethodMetrics {
  const { handled, received, sent, started } = registry.declare(calls);
  const seconds = latencyBuckets.length === 0 ? undefined : registry.declare(times, latencyBuckets).seconds;

  return (method, codeNames) => {
    const values = { grpc_type: method.type, grpc_service: method.service, grpc_method: method.method };
    const handledByCode = statusCounters(codeNames, (code) => handled.with({ ...values, grpc_code: code }));
    let histogram: Histogram | undefined;
    return {
      started: started.with(values),
      messagesReceived: received.with(values),
      messagesSent: sent.with(values),
      get handlingSeconds() {
        histogram ??= seconds?.with(values);
        return histogram;
      },
      handled: handledByCode,
    };
  };
}

/** Creates the counter of the first status; creates the others when one is needed. */
function statusCounters(
  codeNames: readonly string[],
  create: (code: string) => Counter,
): (code: string) => Counter {
  const counters = new Map<string, Counter>();
  const counterOf = (code: string): Counter => {
    const existing = counters.get(code);
    if (existing !== undefined) return existing;
    const counter = create(code);
    counters.set(code, counter);
    return counter;
  };
  const [first] = codeNames;
  if (first !== undefined) counterOf(first);
  return (code) => {
    if (counters.size < codeNames.length) for (const each of codeNames) counterOf(each);
    return counterOf(code);
  };
}
