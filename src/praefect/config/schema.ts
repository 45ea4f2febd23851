import { type ConfigOf, duration, flag, integer, secret, table, tables, text } from '#platform/config/keys';

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
    doc: 'Keep replication jobs and the state of replicas in memory. They end with the process.',
    example: 'true',
    shown: true,
  }),
  i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: flag({
    doc: 'Required for every election strategy but per_repository.',
    example: 'true',
    shown: true,
  }),
  logging: table('Log lines on standard error.', {
    format: text({ doc: 'text or json.', default: 'text', example: '"json"' }),
    level: text({ doc: 'debug, info, warn or error.', default: 'info', example: '"warn"' }),
  }),
  auth: table('Authentication of callers.', {
    token: secret({ doc: 'Shared token. Without one every caller is accepted.', example: '"abc123secret"' }),
    transitioning: flag({ doc: 'Check credentials, but accept calls without valid ones.' }),
  }),
  failover: table('Choice of the primary.', {
    enabled: flag({ doc: 'False: the first node of each virtual storage stays its primary.', default: true }),
    election_strategy: text({
      doc: 'local: in memory, one primary for each virtual storage.',
      default: 'per_repository',
      example: '"local"',
      shown: true,
    }),
    bootstrap_interval: duration({ doc: 'Time between the first three checks.', defaultMs: 1000 }),
    monitor_interval: duration({ doc: 'Time between later checks.', defaultMs: 3000 }),
  }),
  replication: table('Copies to outdated replicas.', {
    batch_size: integer({ doc: 'Jobs taken from the queue at once.', default: 10, type: 'uint' }),
  }),
  virtual_storage: tables('A storage as clients name it, and the nodes behind it.', {
    name: text({ doc: 'Name in requests.', default: '', example: '"default"', shown: true }),
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
