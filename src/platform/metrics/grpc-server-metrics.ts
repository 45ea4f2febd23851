import type { Counter, Histogram, MetricsRegistry } from './metrics-registry.ts';

/**
 * Labels of a method: `{ type: 'unary', service: 'gitaly.CommitService', method: 'FindCommit' }`.
 */
export interface MethodLabels {
  readonly type: 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';
  readonly service: string;
  readonly method: string;
}

/** The series of one method. */
export interface MethodMetrics {
  readonly started: Counter;
  readonly messagesReceived: Counter;
  readonly messagesSent: Counter;
  /** Seconds from the start to the end of a call; `undefined` without buckets. */
  readonly handlingSeconds: Histogram | undefined;
  /** Returns the counter of a status. @param code Go's name of the status: `OK`, `NotFound`. */
  handled(code: string): Counter;
}

export interface GrpcServerMetricsOptions {
  /** `prometheus.grpc_latency_buckets` in seconds; an empty list disables the histogram. */
  readonly latencyBuckets: readonly number[];
  /** Go's names of all statuses. */
  readonly codes: readonly string[];
  /**
   * Every registered method. All its series start with 0, so that a rate includes the first event.
   */
  readonly methods: readonly MethodLabels[];
}

/**
 * Declares `grpc_server_*`. Returns a function that returns the series of a method; the series of
 * an unregistered method are created at first use.
 */
export function grpcServerMetrics(
  registry: MetricsRegistry,
  options: GrpcServerMetricsOptions,
): (method: MethodLabels) => MethodMetrics {
  const labels = ['grpc_type', 'grpc_service', 'grpc_method'] as const;
  const started = registry.counter({
    name: 'grpc_server_started_total',
    help: 'Calls that were started on the server.',
    labels,
  });
  const handled = registry.counter({
    name: 'grpc_server_handled_total',
    help: 'Calls that ended on the server, by status, whether well or not.',
    labels: [...labels, 'grpc_code'],
  });
  const received = registry.counter({
    name: 'grpc_server_msg_received_total',
    help: 'Messages that the server received.',
    labels,
  });
  const sent = registry.counter({
    name: 'grpc_server_msg_sent_total',
    help: 'Messages that the server sent.',
    labels,
  });
  const seconds =
    options.latencyBuckets.length === 0
      ? undefined
      : registry.histogram({
          name: 'grpc_server_handling_seconds',
          help: 'Seconds from the start to the end of a call.',
          labels,
          buckets: options.latencyBuckets,
        });

  const create = (method: MethodLabels): MethodMetrics => {
    const values = { grpc_type: method.type, grpc_service: method.service, grpc_method: method.method };
    const codes = new Map(options.codes.map((code) => [code, handled.with({ ...values, grpc_code: code })]));
    return {
      started: started.with(values),
      messagesReceived: received.with(values),
      messagesSent: sent.with(values),
      handlingSeconds: seconds?.with(values),
      handled: (code) => codes.get(code) ?? handled.with({ ...values, grpc_code: code }),
    };
  };
  const known = new Map(
    options.methods.map((method) => [`/${method.service}/${method.method}`, create(method)]),
  );
  return (method) => known.get(`/${method.service}/${method.method}`) ?? create(method);
}
