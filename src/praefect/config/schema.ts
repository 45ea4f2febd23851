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

/** Keys of a connection to PostgreSQL, as in libpq. Empty keys have libpq's default. */
const connectionKeys = {
  host: text({ doc: 'Host name, or the directory of a Unix socket.', default: '', example: '"localhost"' }),
  port: integer({ doc: 'TCP port; 0 means 5432.', default: 0, type: 'uint', example: '5432' }),
  user: text({ doc: 'Role.', default: '', example: '"praefect"' }),
  password: secret({ doc: 'Its password.', example: '"secret"' }),
  dbname: text({ doc: 'Database.', default: '', example: '"praefect_production"' }),
  sslmode: text({
    doc: 'disable, allow, prefer, require, verify-ca or verify-full.',
    default: '',
    example: '"require"',
  }),
  sslcert: text({ doc: 'Path of the client certificate.', default: '', example: '"/path/to/cert"' }),
  sslkey: text({ doc: 'Path of its key.', default: '', example: '"/path/to/key"' }),
  sslrootcert: text({
    doc: 'Path of the certificates that sign the one of the server.',
    default: '',
    example: '"/path/to/rootcert"',
  }),
} as const;

/** Every key of `config.praefect.toml` that has its effect. */
export const praefectSchema = {
  listen_addr: text({
    doc: 'TCP address for clients, without encryption.',
    example: '"localhost:2305"',
    accepted: 'HOST:PORT',
  }),
  socket_path: text({
    doc: 'Unix socket for clients. At least one of socket_path and listen_addr is required.',
    example: '"/home/git/gitlab/tmp/sockets/private/praefect.socket"',
    shown: true,
  }),
  prometheus_listen_addr: text({
    doc: 'TCP address of the monitoring server: /metrics, /-/healthy, /-/ready.',
    example: '"localhost:9652"',
    accepted: 'HOST:PORT',
  }),
  graceful_stop_timeout: duration({
    doc: 'How long running calls may continue after a stop signal.',
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
  logging: table('Log lines on standard error.', {
    format: text({ doc: 'text or json.', default: 'text', example: '"json"' }),
    level: text({ doc: 'debug, info, warn or error.', default: 'info', example: '"warn"' }),
  }),
  auth: table('Authentication of callers.', {
    token: secret({ doc: 'Shared token. Without one every caller is accepted.', example: '"abc123secret"' }),
    transitioning: flag({ doc: 'Check credentials, but accept calls without valid ones.' }),
  }),
  database: table('PostgreSQL, which keeps the state of the cluster. Several Praefects share it.', {
    ...connectionKeys,
    session_pooled: table(
      'Connection for notifications, past a pooler such as PgBouncer. Missing keys are those of [database].',
      connectionKeys,
    ),
    host_no_proxy: text({ doc: 'Earlier name of session_pooled.host.', default: '' }),
    port_no_proxy: integer({ doc: 'Earlier name of session_pooled.port.', default: 0, type: 'uint' }),
  }),
  failover: table('Choice of the primary.', {
    enabled: flag({ doc: 'False: the first node of each virtual storage stays its primary.', default: true }),
    election_strategy: text({
      doc:
        'per_repository: each repository has a primary, kept in the database. local: in memory, one ' +
        'primary for each virtual storage.',
      default: 'per_repository',
      example: '"per_repository"',
    }),
    bootstrap_interval: duration({ doc: 'Time between the first three checks of local.', defaultMs: 1000 }),
    monitor_interval: duration({ doc: 'Time between later checks of local.', defaultMs: 3000 }),
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
  repositories_cleanup: table('Search for repositories on the nodes that the database does not have.', {
    check_interval: duration({ doc: 'Time between looks for a storage to search.', defaultMs: 1_800_000 }),
    run_interval: duration({
      doc: 'Time between searches of a storage; 0 means none.',
      defaultMs: 24 * 3_600_000,
    }),
    repositories_in_batch: integer({ doc: 'Repositories compared at once.', default: 16, type: 'uint' }),
  }),
  virtual_storage: tables('A storage as clients name it, and the nodes behind it.', {
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
