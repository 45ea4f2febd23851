import { type ConfigOf, duration, flag, float, floats, integer, secret, table, tables, text, texts, tlsVersion } from './keys.ts';
import { cacheTable, concurrencyLimits, pressure } from './schema-limits.ts';

const NOT_YET = 'not built yet';
const GONE = 'belongs to Gitaly versions before 18.0';

/**
 * Every key of Gitaly's `config.toml`, 15.0 to 19.0, in the order of the example file. Parser, defaults, checks, error texts and
 * `config.toml.example` come from it. A key that has no effect here is accepted all the same and says why.
 */
export const schema = {
  config_command: text({
    doc: 'Executable whose output, JSON with the keys of this file, is laid over this file at every start.',
    example: '"/etc/gitaly/config-command"',
  }),
  socket_path: text({
    doc: 'Unix socket for clients. At least one of socket_path, listen_addr and tls_listen_addr is needed.',
    example: '"/home/git/gitlab/tmp/sockets/private/gitaly.socket"',
    shown: true,
    accepted: 'a path of at most 107 bytes in an existing directory',
  }),
  bin_dir: text({
    doc: 'Where the auxiliary programs are. Optional here: by default those of this installation are used.',
    example: '"/home/git/gitaly/_build/bin"',
    shown: true,
    accepted: 'an existing directory',
  }),
  runtime_dir: text({
    doc: 'Directory in which each process makes its own gitaly-<pid> for sockets and temporary programs. Default: a temporary directory.',
    example: '"/home/git/gitaly/run"',
    accepted: 'an existing directory',
  }),
  internal_socket_dir: text({
    doc: 'Directory of the internal socket.',
    noEffect: 'gone since 15.0; the socket is in runtime_dir',
  }),
  listen_addr: text({
    doc: 'TCP address for clients, without encryption.',
    example: '"localhost:9999"',
    accepted: 'HOST:PORT, such as "localhost:9999" or ":9999"',
  }),
  tls_listen_addr: text({
    doc: 'TCP address for clients, with TLS. Needs [tls].',
    example: '"localhost:8888"',
    accepted: 'HOST:PORT, such as "localhost:8888" or ":8888"',
  }),
  prometheus_listen_addr: text({
    doc: 'TCP address of the monitoring server: /metrics, /-/healthy, /-/ready. No authentication: keep it private.',
    example: '"localhost:9236"',
    accepted: 'HOST:PORT, such as "localhost:9236" or ":9236"',
  }),
  graceful_restart_timeout: duration({
    doc: 'How long calls may go on after a stop was asked for.',
    defaultMs: 60_000,
    example: '"1m"',
  }),
  use_libp2p_yamux: flag({
    doc: 'Which multiplexer is used for reverse streams.',
    noEffect: 'the bytes on the wire are the same',
  }),

  auth: table('Who may call. Clients prove that they know the token; it never travels.', {
    token: secret({ doc: 'The shared token. Without one every caller is accepted.', example: '"the secret token"' }),
    token_file: text({
      doc: 'File that holds the token, instead of token. Its mode must be 0600 or 0400.',
      example: '"/etc/gitaly/token"',
      accepted: 'an existing file of mode 0600 or 0400, and no token beside it',
    }),
    transitioning: flag({ doc: 'Check and count credentials, but accept calls without valid ones.', example: 'false' }),
  }),

  tls: table('Certificate of tls_listen_addr, and of this server as a client of the GitLab API.', {
    certificate_path: text({
      doc: 'Certificate chain, PEM.',
      example: '"/home/git/cert.cert"',
      accepted: 'an existing PEM file',
    }),
    key_path: text({
      doc: 'Private key, PEM.',
      example: '"/home/git/key.pem"',
      accepted: 'an existing PEM file, and no key beside it',
    }),
    key: secret({
      doc: 'The private key itself, instead of key_path.',
      accepted: 'a private key in PEM form, and no key_path beside it',
    }),
    min_version: tlsVersion({ doc: 'Lowest TLS version that is accepted.', default: 'TLS 1.2', example: '"TLS 1.2"' }),
  }),

  git: table('The git program.', {
    bin_path: text({
      doc: 'The git to use, 2.39 or newer. Default: the one on the PATH. GITALY_TESTING_GIT_BINARY in the environment goes first.',
      example: '"/usr/bin/git"',
      accepted: 'an executable file',
    }),
    use_bundled_binaries: flag({ doc: 'Use the git that comes with the server.', noEffect: 'no git comes with this server' }),
    catfile_cache_size: integer({
      doc: 'How many object readers (git cat-file) are kept for later calls.',
      default: 100,
      example: '100',
    }),
    signing_key: text({
      doc: 'File with the private key that signs commits made for users: OpenSSH or OpenPGP, without a passphrase.',
      example: '"/home/git/signing_key"',
    }),
    rotated_signing_keys: texts({
      doc: 'Files with earlier keys: GetCommitSignatures still knows what they signed.',
      example: '["/home/git/old_signing_key"]',
    }),
    committer_email: text({
      doc: 'Address of the committer of commits that are to be signed, together with committer_name.',
      example: '"noreply@gitlab.com"',
    }),
    committer_name: text({
      doc: 'Who commits what is to be signed, in place of the user.',
      example: '"GitLab"',
    }),
    config: tables('A git setting that every git call gets, after the ones the server itself needs.', {
      key: text({
        doc: 'Name of the setting.',
        example: '"fetch.fsckObjects"',
        default: '',
        accepted: 'a git setting such as "fetch.fsckObjects"',
      }),
      value: text({ doc: 'Its value.', example: '"true"', default: '' }),
    }),
  }),

  storage: tables('A directory with repositories, and the name by which callers know it.', {
    name: text({
      doc: 'Unique name.',
      example: '"default"',
      default: '',
      shown: true,
      accepted: 'a name that no other storage has',
    }),
    path: text({
      doc: 'Existing directory, of one storage only.',
      example: '"/home/git/repositories"',
      default: '',
      shown: true,
      accepted: 'an existing directory that is not inside another storage',
    }),
  }),

  logging: table('The log goes to standard output, one line per entry.', {
    level: text({
      doc: 'Lowest level that is written.',
      default: 'info',
      example: '"warn"',
      accepted: 'panic, fatal, error, warn, info, debug or trace',
    }),
    format: text({
      doc: 'Form of a line: text (key=value) or json.',
      default: 'text',
      example: '"json"',
      accepted: '"text" or "json"',
    }),
    dir: text({ doc: "Directory of the helpers' log files.", noEffect: 'gone since 16.7; helpers log through the server' }),
    sentry_dsn: secret({
      doc: 'Where errors are reported.',
      example: '"https://<key>:<secret>@sentry.io/<project>"',
      noEffect: NOT_YET,
    }),
    sentry_environment: text({ doc: 'Environment of reported errors.', example: '""', noEffect: NOT_YET }),
    ruby_sentry_dsn: secret({ doc: 'Where errors of gitaly-ruby were reported.', noEffect: GONE }),
  }),

  prometheus: table('Metrics.', {
    scrape_timeout: duration({
      doc: 'Limit for collecting metrics from a database (Praefect).',
      defaultMs: 10_000,
      example: '"10s"',
    }),
    grpc_latency_buckets: floats({
      doc: 'Bounds of the latency histograms in seconds, ascending. An empty list switches the histograms off.',
      default: [0.001, 0.005, 0.025, 0.1, 0.5, 1, 10, 30, 60, 300, 1500],
      example: '[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 10.0, 30.0, 60.0, 300.0, 1500.0]',
      accepted: 'a list of numbers in ascending order',
    }),
  }),

  hooks: table('Hooks of the whole server.', {
    custom_hooks_dir: text({
      doc: 'Directory of custom hooks: pre-receive.d/, update.d/, post-receive.d/ with executable files.',
      example: '"/home/git/custom_hooks"',
      shown: true,
    }),
    packobjects_hook_max_proc: integer({
      doc: 'Threads of the pack-objects hook.',
      default: 0,
      type: 'uint',
      noEffect: 'the hook is no Go program',
    }),
  }),

  gitlab: table(
    'The GitLab internal API, which decides on pushes. Leave it out to run without GitLab: then every push is allowed.',
    {
      url: text({
        doc: 'Where it is. A socket is written with its path percent-encoded.',
        example: '"http+unix://%2Fhome%2Fgit%2Fgitlab%2Ftmp%2Fsockets%2Fgitlab-workhorse.socket"',
        shown: true,
        accepted: 'an http://, https:// or http+unix:// URL',
      }),
      relative_url_root: text({ doc: 'Path of the application behind a socket.', example: '"/"' }),
      secret_file: text({
        doc: 'File with the secret shared with GitLab. Default: .gitlab_shell_secret in gitlab-shell.dir.',
        example: '"/home/git/gitlab-shell/.gitlab_shell_secret"',
        shown: true,
        accepted: 'an existing file, and no secret beside it',
      }),
      secret: secret({ doc: 'The secret itself, instead of secret_file.' }),
      'http-settings': table('How the API is called.', {
        read_timeout: integer({ doc: 'Seconds to wait for an answer.', default: 300, type: 'uint64', example: '300' }),
        user: text({
          doc: 'User name, for HTTP basic authentication.',
          example: '"someone"',
          accepted: 'a text, together with password',
        }),
        password: secret({ doc: 'Password.', example: '"somepass"', accepted: 'a text, together with user' }),
        ca_file: text({ doc: 'Certificates to trust, PEM.', example: '"/etc/ssl/cert.pem"', accepted: 'an existing file' }),
        ca_path: text({
          doc: 'Directory of certificates to trust.',
          example: '"/etc/pki/tls/certs"',
          accepted: 'an existing directory',
        }),
        self_signed_cert: flag({ doc: 'Skip the check of the server certificate.', noEffect: 'gone since 16.0; use ca_file' }),
      }),
    },
  ),

  'gitlab-shell': table('Deprecated. Gives defaults for gitlab.secret_file and hooks.custom_hooks_dir.', {
    dir: text({ doc: 'Directory of gitlab-shell.', example: '"/home/git/gitlab-shell"', accepted: 'an existing directory' }),
  }),

  concurrency: tables(
    'Limit of one RPC.',
    {
      rpc: text({
        doc: 'Full name of the method.',
        example: '"/gitaly.SmartHTTPService/PostUploadPackWithSidechannel"',
        default: '',
      }),
      ...concurrencyLimits({ max: 0, queue: 500 }),
      unauthenticated: table('The same for callers without a user.', concurrencyLimits({ max: 0, queue: 0 })),
    },
    { noEffect: NOT_YET },
  ),
  rate_limiting: tables(
    'Rate limit of one RPC.',
    {
      rpc: text({ doc: 'Full name of the method.', default: '' }),
      interval: duration({ doc: 'Time in which one token is added.', defaultMs: 0 }),
      burst: integer({ doc: 'Tokens at most.', default: 0 }),
    },
    { noEffect: GONE },
  ),
  pack_objects_limiting: table(
    'Limit of concurrent pack-objects of one caller.',
    {
      ...concurrencyLimits({ max: 200, queue: 200 }),
      unauthenticated: table('The same for callers without a user.', concurrencyLimits({ max: 0, queue: 0 })),
    },
    { noEffect: NOT_YET },
  ),
  pack_objects_cache: table(
    'Cache of pack files for identical fetches.',
    cacheTable({ backpressure: true, minOccurrences: 1, name: 'PackObjectsCache' }),
    {
      noEffect: NOT_YET,
    },
  ),
  archive_cache: table('Cache of archives.', cacheTable({ backpressure: false, minOccurrences: 0, name: 'ArchiveCache' }), {
    noEffect: NOT_YET,
  }),
  adaptive_limiting: table(
    'What makes adaptive limits shrink.',
    {
      cpu_throttled_threshold: float({ doc: 'Share of time that the cgroup was throttled.', default: 0.5 }),
      memory_threshold: float({ doc: "Share of the cgroup's memory in use.", default: 0.9 }),
      psi_pressure: table('Pressure stall information.', {
        memory: table('Memory.', pressure({ warning: 10, backoff: 20, critical: 40 })),
        io: table('Disk.', pressure({ warning: 10, backoff: 20, critical: 40 })),
        cpu: table('Processor.', pressure({ warning: 20, backoff: 25, critical: 50 })),
      }),
    },
    { noEffect: NOT_YET },
  ),
  load_shedder: table(
    'Ends expensive calls under critical load.',
    { enabled: flag({ doc: 'Switch it on.' }) },
    { noEffect: NOT_YET },
  ),

  cgroups: table(
    'Control groups for git processes.',
    {
      mountpoint: text({ doc: 'Where control groups are mounted.', default: '/sys/fs/cgroup' }),
      hierarchy_root: text({ doc: 'Group that belongs to the server.', default: 'gitaly' }),
      memory_bytes: integer({ doc: 'Memory of all git processes. 0 means no limit.', default: 0, type: 'int64' }),
      cpu_shares: integer({ doc: 'Weight of all git processes. 0 means none.', default: 0, type: 'uint64' }),
      cpu_quota_us: integer({ doc: 'Microseconds of processor time in 100 ms. 0 means no limit.', default: 0, type: 'int64' }),
      metrics_enabled: flag({ doc: 'Export metrics of the groups.' }),
      repositories: table('Groups that repositories are spread over.', {
        count: integer({ doc: 'How many. 0 means none.', default: 0, type: 'uint' }),
        max_cgroups_per_repo: integer({ doc: 'How many of them one repository may use.', default: 0, type: 'uint' }),
        memory_bytes: integer({ doc: 'Memory of one group. 0 means no limit.', default: 0, type: 'int64' }),
        cpu_shares: integer({ doc: 'Weight of one group. 0 means none.', default: 0, type: 'uint64' }),
        cpu_quota_us: integer({ doc: 'Microseconds of processor time in 100 ms. 0 means no limit.', default: 0, type: 'int64' }),
      }),
      count: integer({ doc: 'Old name of repositories.count.', default: 0, type: 'uint' }),
      memory: table('Old form of repositories.memory_bytes.', {
        enabled: flag({ doc: 'Switch it on.' }),
        limit: integer({ doc: 'Bytes.', default: 0, type: 'int64' }),
      }),
      cpu: table('Old form of repositories.cpu_shares.', {
        enabled: flag({ doc: 'Switch it on.' }),
        shares: integer({ doc: 'Weight.', default: 0, type: 'uint64' }),
      }),
    },
    { noEffect: NOT_YET },
  ),
  daily_maintenance: table(
    'Housekeeping once a day. Without this table: at 12:00, ten minutes, all storages.',
    {
      start_hour: integer({ doc: 'Local time, 0 to 23.', default: 0, type: 'uint', accepted: 'a whole number from 0 to 23' }),
      start_minute: integer({ doc: '0 to 59.', default: 0, type: 'uint', accepted: 'a whole number from 0 to 59' }),
      duration: duration({ doc: 'How long, at most a day.', defaultMs: 0, accepted: 'a duration in quotes, at most "24h"' }),
      storages: texts({ doc: 'Names of storages.', accepted: 'a list of names of storages in this file' }),
      disabled: flag({ doc: 'Switch it off.' }),
    },
    { noEffect: NOT_YET },
  ),
  backup: table(
    'Backups made by the server.',
    {
      go_cloud_url: text({
        doc: 'Where they go: s3://, gs://, azblob:// or file://.',
        accepted: 'a URL such as s3://bucket?region=eu-west-1',
      }),
      wal_backup_go_cloud_url: text({ doc: 'Where the write-ahead log goes.', accepted: 'a URL' }),
      wal_backup_worker_count: integer({ doc: 'Uploads at once.', default: 1, type: 'uint' }),
      buffer_size: integer({ doc: 'Bytes of an upload part. 0 means 5 MiB.', default: 0 }),
      layout: text({ doc: 'Form of a backup.', noEffect: 'gone since 18.9' }),
    },
    { noEffect: NOT_YET },
  ),
  bundle_uri: table(
    'Bundles that clients fetch from elsewhere.',
    { go_cloud_url: text({ doc: 'Where they are.', accepted: 'a URL' }) },
    { noEffect: NOT_YET },
  ),
  timeout: table('Limits that protect the server from clients that do not go on.', {
    upload_pack_negotiation: duration({ doc: 'Time for the negotiation of a fetch.', defaultMs: 600_000, example: '"10m"' }),
    upload_archive_negotiation: duration({
      doc: 'Time for the request of a remote archive.',
      defaultMs: 60_000,
      example: '"1m"',
    }),
  }),
  transactions: table(
    'Write-ahead log, experimental.',
    {
      enabled: flag({ doc: 'Switch it on.' }),
      max_inactive_partitions: integer({ doc: 'Partitions kept open.', default: 100, type: 'uint' }),
      recover_pending_wal: flag({ doc: 'Apply what is pending in the log, then go on without it.' }),
    },
    { noEffect: NOT_YET },
  ),
  raft: table(
    'Replication, experimental.',
    {
      enabled: flag({ doc: 'Switch it on.' }),
      cluster_id: text({ doc: 'UUID of the cluster.', default: '' }),
      rtt_milliseconds: integer({ doc: 'Round trip between members.', default: 200, type: 'uint64' }),
      election_rtt: integer({ doc: 'Election timeout in round trips.', default: 20, type: 'uint64' }),
      heartbeat_rtt: integer({ doc: 'Heartbeat in round trips.', default: 2, type: 'uint64' }),
      proposal_conf_change_timeout: integer({ doc: 'Milliseconds for a change of members.', default: 5000, type: 'uint64' }),
      snapshot_dir: text({ doc: 'Directory of snapshots.', default: '' }),
    },
    { noEffect: NOT_YET },
  ),
  offloading: table(
    'Objects in an object store, experimental.',
    {
      enabled: flag({ doc: 'Switch it on.' }),
      cache_root: text({ doc: 'Directory for downloads.' }),
      go_cloud_url: text({ doc: 'Where the objects are.', accepted: 'a URL' }),
    },
    { noEffect: NOT_YET },
  ),
  pool_metadata: table('Members of object pools.', { database_path: text({ doc: 'SQLite file.' }) }, { noEffect: NOT_YET }),
  'gitaly-ruby': table(
    'The Ruby helper of 15.x.',
    {
      dir: text({ doc: 'Its directory.' }),
      max_rss: integer({ doc: 'Bytes of memory.', default: 200_000_000 }),
      graceful_restart_timeout: duration({ doc: 'Time for its calls to end.', defaultMs: 600_000 }),
      restart_delay: duration({ doc: 'Time between restarts.', defaultMs: 300_000 }),
      num_workers: integer({ doc: 'Processes.', default: 2, type: 'uint' }),
      linguist_languages_path: text({ doc: 'Language data.' }),
      rugged_git_config_search_path: text({ doc: 'Git configuration.' }),
    },
    { noEffect: GONE },
  ),
};

/** What the schema's keys hold, after reading and defaults. */
export type ConfigValues = ConfigOf<typeof schema>;
