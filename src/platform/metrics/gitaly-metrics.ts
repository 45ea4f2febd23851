import type { Counter, Family, Gauge, Histogram, MetricsRegistry } from './metrics-registry.ts';

/** Results of authentication as named by the metric. */
export const AUTHENTICATION_STATUSES = [
  'ok',
  'would be ok',
  'unauthenticated',
  'denied',
  'invalid',
  'server disabled authentication',
] as const;
export type AuthenticationStatus = (typeof AUTHENTICATION_STATUSES)[number];

/**
 * Labels of `gitaly_service_client_requests_total`; `unknown` if a client does not send a value.
 */
export type ClientRequestLabel =
  | 'client_name'
  | 'grpc_service'
  | 'grpc_method'
  | 'call_site'
  | 'auth_version'
  | 'grpc_code'
  | 'deadline_type'
  | 'method_operation'
  | 'method_scope';

/** Metrics about the server's callers. */
export interface GitalyMetrics {
  connection(type: 'unix' | 'tcp' | 'tls'): Counter;
  /**
   * Counts failed connections. `accept`: it could not be accepted; `session`: it ended with an
   * error.
   */
  connectionError(type: 'unix' | 'tcp' | 'tls' | 'internal', stage: 'accept' | 'session'): Counter;
  /** `call`: it ended a call; `connection`: a peer had gone; `process`: it ends the process. */
  exception(scope: 'call' | 'connection' | 'process'): Counter;
  authentication(enforced: boolean, status: AuthenticationStatus): Counter;
  authenticationError(error: string): Counter;
  clientRequest(labels: Readonly<Record<ClientRequestLabel, string>>): Counter;
  featureFlagCheck(flag: string, enabled: boolean): Counter;
}

/**
 * Declares the metrics about callers. Those of connections and authentication start with the value
 * 0.
 *
 * @param program whose connections are counted, and under which name.
 */
export function gitalyMetrics(
  registry: MetricsRegistry,
  program: { readonly name: string; readonly connections: string } = {
    name: 'Gitaly',
    connections: 'gitaly_connections_total',
  },
): GitalyMetrics {
  const connections = registry.counter({
    name: program.connections,
    help: `Total number of connections to ${program.name}`,
    labels: ['type'],
  });
  const connectionErrors = registry.counter({
    name: 'gitaly_connection_errors_total',
    help: 'Connections that could not be accepted or ended with an error, by kind of listener.',
    labels: ['type', 'stage'],
  });
  const exceptions = registry.counter({
    name: 'gitaly_exceptions_total',
    help: 'Exceptions that no code expected, by what they ended.',
    labels: ['scope'],
  });
  const clientRequests = registry.counter<ClientRequestLabel>({
    name: 'gitaly_service_client_requests_total',
    help:
      'Counter of client requests received by client, call_site, auth version, response ' +
      'code and deadline_type',
    labels: [
      'client_name',
      'grpc_service',
      'grpc_method',
      'call_site',
      'auth_version',
      'grpc_code',
      'deadline_type',
      'method_operation',
      'method_scope',
    ],
  });
  const flagChecks = registry.counter({
    name: 'gitaly_feature_flag_checks_total',
    help: 'Number of enabled/disabled checks for Gitaly server side feature flags',
    labels: ['flag', 'enabled'],
  });

  const connection = (type: 'unix' | 'tcp' | 'tls'): Counter => connections.with({ type });
  for (const type of ['unix', 'tcp', 'tls'] as const) connection(type);
  for (const scope of ['call', 'connection', 'process'] as const) exceptions.with({ scope });
  return {
    connection,
    connectionError: (type, stage) => connectionErrors.with({ type, stage }),
    exception: (scope) => exceptions.with({ scope }),
    ...authenticationMetrics(registry),
    clientRequest: (labels) => clientRequests.with(labels),
    featureFlagCheck: (flag, enabled) => flagChecks.with({ flag, enabled: String(enabled) }),
  };
}

function authenticationMetrics(
  registry: MetricsRegistry,
): Pick<GitalyMetrics, 'authentication' | 'authenticationError'> {
  const authentications = registry.counter({
    name: 'gitaly_authentications_total',
    // The same text as Gitaly's: all servers of a fleet have to use one.
    help: 'Counts of of Gitaly request authentication attempts',
    labels: ['enforced', 'status'],
  });
  const authenticationErrors = registry.counter({
    name: 'gitaly_authentication_errors_total',
    help: 'Counts of Gitaly request authentication errors',
    labels: ['version', 'error'],
  });
  const byStatus = { true: new Map<string, Counter>(), false: new Map<string, Counter>() };
  const authentication = (enforced: boolean, status: AuthenticationStatus): Counter => {
    const known = byStatus[`${enforced}`].get(status);
    if (known !== undefined) return known;
    const counter = authentications.with({ enforced: `${enforced}`, status });
    byStatus[`${enforced}`].set(status, counter);
    return counter;
  };
  for (const status of AUTHENTICATION_STATUSES)
    for (const enforced of [true, false]) authentication(enforced, status);
  return {
    authentication,
    authenticationError: (error) => authenticationErrors.with({ version: 'v2', error }),
  };
}

/**
 * Declares `gitlab_build_info`: a gauge with the value 1 whose labels name the running version.
 */
export function buildInfo(registry: MetricsRegistry, labels: { version: string; gitVersion: string }): void {
  registry
    .gauge({
      name: 'gitlab_build_info',
      isOfServer: true,
      help: 'What is running: always 1.',
      labels: [
        'version',
        'git_version',
        'go_version',
        'committed',
        'modified',
        'module_path',
        'module_version',
      ],
    })
    .with({
      version: labels.version,
      git_version: labels.gitVersion,
      go_version: `node ${process.version}`,
      committed: '',
      modified: '',
      module_path: 'gitaly-ts',
      module_version: labels.version,
    })
    .set(1);
}

/** Labels of the `gitaly_command_*` family. */
export type CommandLabel =
  | 'grpc_service'
  | 'grpc_method'
  | 'cmd'
  | 'subcmd'
  | 'git_version'
  | 'reference_backend';

/** Resource usage of child processes. */
export interface CommandMetrics {
  cpuSeconds(labels: Readonly<Record<CommandLabel, string>>, mode: 'system' | 'user'): Counter;
  realSeconds(labels: Readonly<Record<CommandLabel, string>>): Counter;
  minorPageFaults(labels: Readonly<Record<CommandLabel, string>>): Counter;
  majorPageFaults(labels: Readonly<Record<CommandLabel, string>>): Counter;
  signalsReceived(labels: Readonly<Record<CommandLabel, string>>): Counter;
  contextSwitches(
    labels: Readonly<Record<CommandLabel, string>>,
    type: 'voluntary' | 'nonvoluntary',
  ): Counter;
  running: Family<'grpc_service' | 'grpc_method' | 'cmd' | 'subcmd', Gauge>;
  forkingSeconds: Histogram;
  /** Starts that wait for their turn, as 15.0 and 16.7 count them. */
  readonly starts: {
    readonly waiting: Gauge;
    readonly waitingSeconds: Histogram;
    readonly refused: Counter;
  };
}

/** Seconds. */
const SPAWN_BUCKETS = Array.from({ length: 10 }, (_, index) => 0.001 * 2 ** index);

const COMMAND_LABELS = [
  'grpc_service',
  'grpc_method',
  'cmd',
  'subcmd',
  'git_version',
  'reference_backend',
] as const;

export function commandMetrics(registry: MetricsRegistry): CommandMetrics {
  const counter = (name: string, help: string) =>
    registry.counter({ name: `gitaly_command_${name}`, help, labels: COMMAND_LABELS });
  const cpu = registry.counter({
    name: 'gitaly_command_cpu_seconds_total',
    help: 'Sum of CPU time spent by shelling out',
    labels: [...COMMAND_LABELS, 'mode'],
  });
  const switches = registry.counter({
    name: 'gitaly_command_context_switches_total',
    help: 'Sum of context switches performed while shelling out',
    labels: [...COMMAND_LABELS, 'ctxswitchtype'],
  });
  const real = counter('real_seconds_total', 'Sum of real time spent by shelling out');
  const minor = counter('minor_page_faults_total', 'Sum of minor page faults performed while shelling out');
  const major = counter('major_page_faults_total', 'Sum of major page faults performed while shelling out');
  const signals = counter('signals_received_total', 'Sum of signals received while shelling out');
  return {
    cpuSeconds: (labels, mode) => cpu.with({ ...labels, mode }),
    realSeconds: (labels) => real.with(labels),
    minorPageFaults: (labels) => minor.with(labels),
    majorPageFaults: (labels) => major.with(labels),
    signalsReceived: (labels) => signals.with(labels),
    contextSwitches: (labels, ctxswitchtype) => switches.with({ ...labels, ctxswitchtype }),
    running: registry.gauge({
      name: 'gitaly_commands_running',
      help: 'Total number of processes currently being executed',
      labels: ['grpc_service', 'grpc_method', 'cmd', 'subcmd'],
    }),
    forkingSeconds: registry
      .histogram({
        name: 'gitaly_spawn_forking_time_seconds',
        help: 'Histogram of actual forking time after spawn tokens are acquired',
        buckets: SPAWN_BUCKETS,
      })
      .with({}),
    starts: {
      waiting: registry
        .gauge({
          name: 'gitaly_spawn_token_waiting_length',
          help: 'Child processes that wait to be started.',
        })
        .with({}),
      waitingSeconds: registry
        .histogram({
          name: 'gitaly_spawn_waiting_time_seconds',
          help: 'Time for which a child process waited to be started.',
          buckets: SPAWN_BUCKETS,
        })
        .with({}),
      refused: registry
        .counter({
          name: 'gitaly_spawn_timeouts_total',
          help: 'Child processes that were not started because too many waited.',
        })
        .with({}),
    },
  };
}

/** Counts a question that could be answered in process, by what served it. */
export type InProcessMetrics = (name: string, path: 'in_process' | 'git') => Counter;

export function inProcessMetrics(registry: MetricsRegistry): InProcessMetrics {
  const answers = registry.counter({
    name: 'gitaly_ts_in_process_total',
    help: 'Questions that can be answered without starting git, by what answered them.',
    labels: ['name', 'path'],
  });
  return (name, path) => answers.with({ name, path });
}
