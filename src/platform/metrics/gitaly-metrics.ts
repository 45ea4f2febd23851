import { counter, gauge, histogram } from './metric.ts';
import type { Counter, MetricsRegistry, Observers } from './metrics-registry.ts';

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

const CONNECTION_TYPES = ['unix', 'tcp', 'tls'] as const;
type ConnectionType = (typeof CONNECTION_TYPES)[number];
const EXCEPTION_SCOPES = ['call', 'connection', 'process'] as const;

export const CONNECTIONS = {
  connections: counter('gitaly_connections_total', ['type'], 'Total number of connections to Gitaly'),
};

export const PRAEFECT_CONNECTIONS = {
  connections: counter(
    'gitaly_praefect_connections_total',
    ['type'],
    'Total number of connections to Praefect',
  ),
};

/** The server's callers. */
export const CALLERS = {
  connectionErrors: counter(
    'gitaly_connection_errors_total',
    ['type', 'stage'],
    'Connections that could not be accepted or ended with an error, by kind of listener.',
  ),
  exceptions: counter(
    'gitaly_exceptions_total',
    ['scope'],
    'Exceptions that no code expected, by what they ended.',
  ),
  authentications: counter(
    'gitaly_authentications_total',
    ['enforced', 'status'],
    // The same text as Gitaly's: all servers of a fleet have to use one.
    'Counts of of Gitaly request authentication attempts',
  ),
  authenticationErrors: counter(
    'gitaly_authentication_errors_total',
    ['version', 'error'],
    'Counts of Gitaly request authentication errors',
  ),
  clientRequests: counter(
    'gitaly_service_client_requests_total',
    [
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
    'Counter of client requests received by client, call_site, auth version, response code and deadline_type',
  ),
  flagChecks: counter(
    'gitaly_feature_flag_checks_total',
    ['flag', 'enabled'],
    'Number of enabled/disabled checks for Gitaly server side feature flags',
  ),
};

/**
 * Labels of `gitaly_service_client_requests_total`; `unknown` if a client does not send a value.
 */
export type ClientRequestLabel = (typeof CALLERS)['clientRequests']['labels'][number];

export type GitalyMetrics = ReturnType<typeof gitalyMetrics>;

/**
 * Declares the metrics about callers. Those of connections and authentication start with the value
 * 0.
 *
 * @param group the connections of the program.
 */
export function gitalyMetrics(
  registry: MetricsRegistry,
  group: typeof CONNECTIONS | typeof PRAEFECT_CONNECTIONS = CONNECTIONS,
) {
  const { connections } = registry.declare(group);
  const callers = registry.declare(CALLERS);
  for (const type of CONNECTION_TYPES) connections.with({ type });
  for (const scope of EXCEPTION_SCOPES) callers.exceptions.with({ scope });
  const byStatus = { true: new Map<string, Counter>(), false: new Map<string, Counter>() };
  const authentication = (enforced: boolean, status: AuthenticationStatus): Counter => {
    const known = byStatus[`${enforced}`].get(status);
    if (known !== undefined) return known;
    const added = callers.authentications.with({ enforced: `${enforced}`, status });
    byStatus[`${enforced}`].set(status, added);
    return added;
  };
  for (const status of AUTHENTICATION_STATUSES)
    for (const enforced of [true, false]) authentication(enforced, status);
  return {
    connection: (type: ConnectionType) => connections.with({ type }),
    /**
     * Counts failed connections. `accept`: it could not be accepted; `session`: it ended with an
     * error.
     */
    connectionError: (type: ConnectionType | 'internal', stage: 'accept' | 'session') =>
      callers.connectionErrors.with({ type, stage }),
    /** `call`: it ended a call; `connection`: a peer had gone; `process`: it ends the process. */
    exception: (scope: (typeof EXCEPTION_SCOPES)[number]) => callers.exceptions.with({ scope }),
    authentication,
    authenticationError: (error: string) => callers.authenticationErrors.with({ version: 'v2', error }),
    clientRequest: (labels: Readonly<Record<ClientRequestLabel, string>>) =>
      callers.clientRequests.with(labels),
    featureFlagCheck: (flag: string, enabled: boolean) =>
      callers.flagChecks.with({ flag, enabled: String(enabled) }),
  };
}

export const BUILD = {
  info: gauge(
    'gitlab_build_info',
    ['version', 'git_version', 'go_version', 'committed', 'modified', 'module_path', 'module_version'],
    'What is running: always 1.',
    { isOfServer: true },
  ),
};

/**
 * Declares `gitlab_build_info`: a gauge with the value 1 whose labels name the running version.
 */
export function buildInfo(registry: MetricsRegistry, labels: { version: string; gitVersion: string }): void {
  registry
    .declare(BUILD)
    .info.with({
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

/** Seconds. */
const SPAWN_BUCKETS = Array.from({ length: 10 }, (_, index) => 0.001 * 2 ** index);

const CALL_LABELS = ['grpc_service', 'grpc_method', 'cmd', 'subcmd'] as const;
const COMMAND_LABELS = [...CALL_LABELS, 'git_version', 'reference_backend'] as const;

/** Labels of the `gitaly_command_*` family. */
export type CommandLabel = (typeof COMMAND_LABELS)[number];

/** Resource usage of child processes. */
export const COMMANDS = {
  cpuSeconds: counter(
    'gitaly_command_cpu_seconds_total',
    [...COMMAND_LABELS, 'mode'],
    'Sum of CPU time spent by shelling out',
  ),
  realSeconds: counter(
    'gitaly_command_real_seconds_total',
    COMMAND_LABELS,
    'Sum of real time spent by shelling out',
  ),
  minorPageFaults: counter(
    'gitaly_command_minor_page_faults_total',
    COMMAND_LABELS,
    'Sum of minor page faults performed while shelling out',
  ),
  majorPageFaults: counter(
    'gitaly_command_major_page_faults_total',
    COMMAND_LABELS,
    'Sum of major page faults performed while shelling out',
  ),
  signalsReceived: counter(
    'gitaly_command_signals_received_total',
    COMMAND_LABELS,
    'Sum of signals received while shelling out',
  ),
  contextSwitches: counter(
    'gitaly_command_context_switches_total',
    [...COMMAND_LABELS, 'ctxswitchtype'],
    'Sum of context switches performed while shelling out',
  ),
  running: gauge(
    'gitaly_commands_running',
    CALL_LABELS,
    'Total number of processes currently being executed',
  ),
  forkingSeconds: histogram(
    'gitaly_spawn_forking_time_seconds',
    [],
    'Histogram of actual forking time after spawn tokens are acquired',
    SPAWN_BUCKETS,
  ),
  waitingStarts: gauge('gitaly_spawn_token_waiting_length', [], 'Child processes that wait to be started.'),
  waitingSeconds: histogram(
    'gitaly_spawn_waiting_time_seconds',
    [],
    'Time for which a child process waited to be started.',
    SPAWN_BUCKETS,
  ),
  refusedStarts: counter(
    'gitaly_spawn_timeouts_total',
    [],
    'Child processes that were not started because too many waited.',
  ),
};

export type CommandMetrics = Observers<typeof COMMANDS>;

export const IN_PROCESS = {
  answers: counter(
    'gitaly_ts_in_process_total',
    ['name', 'path'],
    'Questions that can be answered without starting git, by what answered them.',
  ),
};

export type InProcessMetrics = Observers<typeof IN_PROCESS>;
