import { CERTIFICATE_KEYS } from '#platform/config/certificate-keys';
import {
  type ConfigOf,
  duration,
  flag,
  floats,
  integer,
  secret,
  table,
  tables,
  text,
} from '#platform/config/keys';
import { LATENCY_BUCKETS } from '#platform/config/latency-buckets';
import { consoleTable } from '#platform/config/schema/console';
import { webhookTables } from '#platform/config/schema/events';
import { workersTable } from '#platform/config/schema/workers';
import { databaseTable } from './schema-database.ts';

/**
 * Every key of `config.praefect.toml`, 15.0 to 19.0. A key without effect here is accepted and has
 * the reason.
 */
export const praefectSchema = {
  config_command: text({
    doc:
      'Executable that runs at every start. Its output (JSON with the keys of this file) overrides ' +
      'this file.',
    example: '"/etc/gitaly/config-command"',
  }),
  listen_addr: text({
    doc: 'TCP address for clients, without encryption.',
    example: '"localhost:2305"',
    accepted: 'HOST:PORT',
  }),
  tls_listen_addr: text({
    doc: 'TCP address for clients, with TLS. Needs [tls].',
    example: '"localhost:3305"',
    accepted: 'HOST:PORT',
  }),
  socket_path: text({
    doc: 'Unix socket for clients. At least one of socket_path, listen_addr and tls_listen_addr is required.',
    example: '"/home/git/gitlab/tmp/sockets/private/praefect.socket"',
    shown: true,
  }),
  prometheus_listen_addr: text({
    doc:
      'TCP address of the monitoring server: /metrics, /db_metrics (numbers that need queries of the ' +
      'database), /-/healthy, /-/ready. It has no authentication: keep it private.',
    example: '"localhost:9652"',
    accepted: 'HOST:PORT',
  }),
  prometheus_exclude_database_from_default_metrics: flag({
    doc: 'False: /metrics returns what /db_metrics returns, too. Removed in 16.0.',
    default: true,
  }),
  prometheus: table('Metrics.', {
    scrape_timeout: duration({ doc: 'Limit of each query of /db_metrics.', defaultMs: 10_000 }),
    grpc_latency_buckets: LATENCY_BUCKETS,
  }),
  graceful_stop_timeout: duration({
    doc: 'How long running calls may continue after a stop signal; 0 means the default.',
    defaultMs: 60_000,
    example: '"1m"',
  }),
  memory_queue_enabled: flag({
    doc: 'Keep replication jobs and the state of replicas in memory, with election_strategy = "local".',
    example: 'true',
  }),
  i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: flag({
    doc: 'Required for every election strategy but per_repository.',
    example: 'true',
  }),
  logging: table('Log lines on standard output.', {
    format: text({ doc: 'text or json.', default: 'text', example: '"json"' }),
    level: text({ doc: 'debug, info, warn or error.', default: 'info', example: '"warn"' }),
    dir: text({ doc: 'Directory of log files.', noEffect: 'the log is on standard output' }),
  }),
  console: consoleTable,
  sentry: table('Reports of errors.', {
    sentry_dsn: secret({
      doc: 'DSN of Sentry, to which errors of this server are reported.',
      example: '"https://<key>:<secret>@sentry.io/<project>"',
    }),
    sentry_environment: text({ doc: 'Environment of reported errors.', example: '""' }),
  }),
  auth: table('Authentication of callers.', {
    token: secret({ doc: 'Shared token. Without one every caller is accepted.', example: '"abc123secret"' }),
    token_file: text({
      doc: 'File with the token, instead of token. Its mode must be 0600 or 0400.',
      example: '"/etc/gitaly/token"',
      accepted: 'an existing file of mode 0600 or 0400; not together with token',
    }),
    transitioning: flag({ doc: 'Check credentials, but accept calls without valid ones.' }),
  }),
  tls: table('Certificate for tls_listen_addr. It is read again when its files change.', CERTIFICATE_KEYS),
  database: databaseTable,
  failover: table('Choice of the primary.', {
    enabled: flag({ doc: 'False: the first node of each virtual storage stays its primary.', default: true }),
    election_strategy: text({
      doc:
        'per_repository: each repository has a primary, kept in the database. sql: one primary for ' +
        'each virtual storage, kept in the database. local: the same in memory.',
      default: 'per_repository',
      example: '"per_repository"',
      accepted: '"per_repository"; "sql" and "local" are unsupported',
    }),
    bootstrap_interval: duration({
      doc: 'Time between the first checks of local and sql; 0 means the default.',
      defaultMs: 1000,
    }),
    monitor_interval: duration({
      doc: 'Time between later checks of local and sql; 0 means the default.',
      defaultMs: 3000,
    }),
    error_threshold_window: duration({
      doc:
        'A node of local or sql with too many failed calls in this time counts as unhealthy. Set all ' +
        'three keys, or none.',
      defaultMs: 0,
      example: '"10s"',
    }),
    read_error_threshold_count: integer({
      doc: 'Number of failed reads that makes a node unhealthy.',
      default: 0,
      type: 'uint',
      example: '100',
    }),
    write_error_threshold_count: integer({
      doc: 'Number of failed writes that makes a node unhealthy.',
      default: 0,
      type: 'uint',
      example: '10',
    }),
    read_only_after_failover: flag({ doc: 'Refuse writes after a failover.', noEffect: 'removed in 14.0' }),
  }),
  routing: table('Choice of the nodes for reads. Not in Gitaly.', {
    prefer_local_replicas: flag({
      doc:
        'Send reads to an up-to-date replica on this machine if there is one: on a node whose address ' +
        'is a Unix socket, a loopback address, or a name or address of this machine.',
    }),
  }),
  yamux: table('Multiplexed connections to the nodes, on which they vote and stream.', {
    maximum_stream_window_size_bytes: integer({
      doc: 'Unread bytes of one stream. More is faster over long distances, and takes more memory.',
      default: 262_144,
      type: 'uint',
      example: '262144',
      accepted: 'a whole number, 262144 or greater',
    }),
    accept_backlog: integer({
      doc: 'Streams that a node may open before they are accepted.',
      default: 256,
      type: 'uint',
      example: '256',
      accepted: 'a whole number, 1 or greater',
    }),
  }),
  transactions: table('Votes of the nodes on writes.', {
    ordered_writes: flag({
      doc:
        'Let writes to the same references change them one after another, in the order of their ' +
        'arrival, so that its nodes do not wait for each other.',
      default: true,
    }),
    ordered_across_praefects: flag({
      doc:
        'Include the writes of the other Praefects on the database in that order. Takes two statements ' +
        'for each write.',
    }),
  }),
  replication: table('Copies to outdated replicas.', {
    batch_size: integer({ doc: 'Jobs taken from the queue at once.', default: 10, type: 'uint' }),
    parallel_storage_processing_workers: integer({
      doc: 'Nodes of a virtual storage that are brought up to date at the same time.',
      default: 1,
      type: 'uint',
    }),
  }),
  reconciliation: table('Search for replicas that are outdated, missing or not assigned.', {
    scheduling_interval: duration({ doc: 'Time between searches; 0 means none.', defaultMs: 300_000 }),
    histogram_buckets: floats({
      doc: 'Bounds of the histogram of their duration, in seconds, in ascending order.',
      default: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    }),
  }),
  background_verification: table('Check that the replicas in the database exist on the nodes.', {
    verification_interval: duration({
      doc: 'Age of a check after which it is repeated; 0 means no checks.',
      defaultMs: 7 * 24 * 3_600_000,
      example: '"168h"',
    }),
    delete_invalid_records: flag({ doc: 'Delete the records of replicas that do not exist.', default: true }),
  }),
  repositories_cleanup: table('Search of the nodes for repositories that are missing in the database.', {
    check_interval: duration({
      doc: 'Interval of the check for storages that are due for a search.',
      defaultMs: 1_800_000,
    }),
    run_interval: duration({
      doc: 'Time between searches of a storage; 0 means none.',
      defaultMs: 24 * 3_600_000,
    }),
    repositories_in_batch: integer({ doc: 'Repositories compared at once.', default: 16, type: 'uint' }),
  }),
  workers: workersTable,
  events: table(
    'Change feed: an event for each change of a reference or repository of the cluster. Not in Gitaly.',
    {
      enabled: flag({
        doc: 'Enable it, in all Praefects. Its tables are created in the database.',
        accepted: 'true needs election_strategy = "per_repository"',
      }),
      max_events: integer({
        doc: 'Number of events beyond which the oldest are compacted.',
        default: 1_000_000,
        type: 'uint',
        accepted: 'a whole number, 1000 or greater',
      }),
      max_age: duration({ doc: 'Age at which events are compacted.', defaultMs: 7 * 24 * 3_600_000 }),
    },
  ),
  webhook: webhookTables,
  virtual_storage: tables('A storage as seen by clients, and its nodes.', {
    name: text({ doc: 'Name in requests.', default: '', example: '"default"', shown: true }),
    default_replication_factor: integer({
      doc: 'Nodes that receive a new repository; 0 means all.',
      default: 0,
      type: 'uint',
      example: '2',
    }),
    node: tables('A Gitaly.', {
      storage: text({
        doc: "The storage's name in Gitaly's own configuration.",
        default: '',
        example: '"gitaly-1"',
        shown: true,
      }),
      address: text({
        doc: 'unix:PATH, tcp://HOST:PORT or tls://HOST:PORT.',
        default: '',
        example: '"tcp://localhost:8075"',
        shown: true,
      }),
      token: secret({ doc: 'Its auth.token.', example: '"the secret token"' }),
    }),
  }),
} as const;

export type PraefectConfig = ConfigOf<typeof praefectSchema>;
