import { CERTIFICATE_KEYS } from '../certificate-keys.ts';
import {
  type ConfigOf,
  duration,
  flag,
  float,
  integer,
  secret,
  table,
  tables,
  text,
  texts,
} from '../keys.ts';
import { LATENCY_BUCKETS } from '../latency-buckets.ts';
import { archiveTable } from './archive.ts';
import { consoleTable } from './console.ts';
import { eventsTable, webhookTables } from './events.ts';
import { gitlabShellTable, gitlabTable } from './gitlab.ts';
import { BUCKET, lfsTable } from './lfs.ts';
import { cacheTable, cgroupsTable, concurrencyLimits, PRESSURE_DEFAULTS, pressure } from './limits.ts';
import { offloadingTable, raftTable, rubyTable, transactionsTable } from './unused.ts';
import { workersTable } from './workers.ts';

const GONE = 'belongs to Gitaly versions before 18.0';

/**
 * Every key of Gitaly's `config.toml`, 15.0 to 19.0, in the order of the example file. Parser,
 * defaults, checks, error texts and `config.toml.example` are derived from it. A key without effect
 * here is accepted and has the reason.
 */
export const schema = {
  config_command: text({
    doc:
      'Executable that runs at every start. Its output (JSON with the keys of this file) overrides ' +
      'this file.',
    example: '"/etc/gitaly/config-command"',
  }),
  socket_path: text({
    doc: 'Unix socket for clients. At least one of socket_path, listen_addr and tls_listen_addr is required.',
    example: '"/home/git/gitlab/tmp/sockets/private/gitaly.socket"',
    shown: true,
    accepted: 'a path of at most 107 bytes in an existing directory',
  }),
  bin_dir: text({
    doc: 'Directory of the auxiliary programs.',
    accepted: 'an existing directory',
    noEffect: 'this server uses the programs of its installation',
  }),
  runtime_dir: text({
    doc:
      'Directory in which each process creates its own gitaly-<pid> for sockets and temporary ' +
      'programs. Default: a temporary directory.',
    example: '"/home/git/gitaly/run"',
    accepted: 'an existing directory',
  }),
  internal_socket_dir: text({
    doc: 'Directory of the internal socket.',
    noEffect: 'removed in 15.0; the socket is in runtime_dir',
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
    doc:
      'TCP address of the monitoring server: /metrics, /debug/pprof/, /-/healthy, /-/ready. It has no ' +
      'authentication: keep it private.',
    example: '"localhost:9236"',
    accepted: 'HOST:PORT, such as "localhost:9236" or ":9236"',
  }),
  graceful_restart_timeout: duration({
    doc: 'How long running calls may continue after a stop signal.',
    defaultMs: 60_000,
    example: '"1m"',
  }),
  use_libp2p_yamux: flag({
    doc: 'Multiplexer for reverse streams.',
    noEffect: 'the bytes on the wire are the same',
  }),

  auth: table(
    'Authentication of callers. Clients send a signature made with the token, never the token itself.',
    {
      token: secret({
        doc: 'Shared token. Without one every caller is accepted.',
        example: '"the secret token"',
      }),
      token_file: text({
        doc: 'File with the token, instead of token. Its mode must be 0600 or 0400.',
        example: '"/etc/gitaly/token"',
        accepted: 'an existing file of mode 0600 or 0400; not together with token',
      }),
      transitioning: flag({
        doc: 'Check and count credentials, but accept calls without valid ones.',
        example: 'false',
      }),
    },
  ),

  tls: table(
    'Certificate for tls_listen_addr, and for this server as a client of the GitLab API.',
    CERTIFICATE_KEYS,
  ),

  git: table('The git program.', {
    bin_path: text({
      doc:
        'Path of git, 2.39 or newer. Default: the git on the PATH. GITALY_TESTING_GIT_BINARY in the ' +
        'environment takes precedence.',
      example: '"/usr/bin/git"',
      accepted: 'an executable file',
    }),
    use_bundled_binaries: flag({
      doc: 'Use the git bundled with the server.',
      noEffect: 'this server bundles no git',
    }),
    catfile_cache_size: integer({
      doc: 'Maximum number of object readers (git cat-file) that are kept for later calls.',
      default: 100,
      example: '100',
    }),
    default_ref_format: text({
      doc: 'Storage of references in new repositories. reftable needs git 2.45 or newer.',
      default: 'files',
      example: '"reftable"',
      accepted: '"files" or "reftable"',
    }),
    hide_gitlab_references: flag({
      doc:
        'Hide the references of GitLab: refs/environments/, refs/keep-around/, refs/merge-requests/, ' +
        'refs/pipelines/, refs/remotes/ and refs/tmp/ from pushes; refs/keep-around/, refs/remotes/ ' +
        'and refs/tmp/ from fetches. Hide others with receive.hideRefs, uploadpack.hideRefs or ' +
        'transfer.hideRefs in [[git.config]]. Not in Gitaly.',
      default: true,
      example: 'true',
    }),
    in_process: flag({
      doc: 'Serve simple reads without starting git, with the same result. false always starts git.',
      default: true,
      example: 'true',
    }),
    explain: flag({
      doc:
        'Return the git commands of a call to a client that sends x-gitaly-explain: true. Their ' +
        'arguments contain paths of this machine.',
      default: false,
      example: 'true',
    }),
    signing_key: text({
      doc:
        'File with the private key that signs commits made for users (OpenSSH or OpenPGP, without a ' +
        'passphrase).',
      example: '"/home/git/signing_key"',
    }),
    rotated_signing_keys: texts({
      doc:
        'Files with earlier keys. GetCommitSignatures still reports commits signed with them as ' +
        'signed by the server.',
      example: '["/home/git/old_signing_key"]',
    }),
    committer_email: text({
      doc: 'E-mail address of the committer of signed commits. Requires committer_name.',
      example: '"noreply@gitlab.com"',
    }),
    committer_name: text({
      doc: 'Name of the committer of signed commits, instead of the user.',
      example: '"GitLab"',
    }),
    config: tables('A git setting for every git command. It overrides the settings of the server.', {
      key: text({
        doc: 'Name of the setting.',
        example: '"fetch.fsckObjects"',
        default: '',
        accepted: 'a git setting such as "fetch.fsckObjects"',
      }),
      value: text({ doc: 'Its value.', example: '"true"', default: '' }),
    }),
  }),

  storage: tables('A directory with repositories. Callers refer to it by its name.', {
    name: text({
      doc: 'Unique name.',
      example: '"default"',
      default: '',
      shown: true,
      accepted: 'a name that no other storage has',
    }),
    path: text({
      doc: 'Existing directory. Every storage needs its own.',
      example: '"/home/git/repositories"',
      default: '',
      shown: true,
      accepted: 'an existing directory that is not inside another storage; better an absolute path',
    }),
    archive: texts({
      doc:
        'Bucket to which each change is archived, or a list of buckets. Each storage and server needs ' +
        'its own, or a prefix of its own. Not in Gitaly.',
      example: '"s3://my-archive?region=eu-west-1&prefix=default/"',
      accepted: `${BUCKET}, or a list of them`,
      acceptsOne: true,
    }),
  }),

  logging: table('The log. It is written to standard output, one line per entry.', {
    level: text({
      doc: 'Minimum level of written entries.',
      default: 'info',
      example: '"warn"',
      accepted: 'panic, fatal, error, warn, info, debug or trace',
    }),
    format: text({
      doc: 'Format of a line: text (key=value) or json.',
      default: 'text',
      example: '"json"',
      accepted: '"text" or "json"',
    }),
    dir: text({
      doc: "Directory of the helpers' log files.",
      noEffect: 'removed in 16.7; helpers log through the server',
    }),
    sentry_dsn: secret({
      doc: 'DSN of Sentry, to which errors of the server are reported.',
      example: '"https://<key>:<secret>@sentry.io/<project>"',
    }),
    sentry_environment: text({ doc: 'Environment of reported errors.', example: '""' }),
    ruby_sentry_dsn: secret({ doc: 'Address for error reports of gitaly-ruby.', noEffect: GONE }),
  }),

  prometheus: table('Metrics.', {
    scrape_timeout: duration({
      doc: 'Time limit for collecting metrics from a database.',
      defaultMs: 10_000,
      noEffect: 'only Praefect has a database',
    }),
    grpc_latency_buckets: LATENCY_BUCKETS,
  }),

  hooks: table('Hooks for all repositories of the server.', {
    custom_hooks_dir: text({
      doc: 'Directory of custom hooks: pre-receive.d/, update.d/, post-receive.d/ with executable files.',
      example: '"/home/git/custom_hooks"',
      shown: true,
    }),
    packobjects_hook_max_proc: integer({
      doc: 'Number of threads of the pack-objects hook.',
      default: 0,
      type: 'uint',
      noEffect: 'the hook is not a Go program',
    }),
  }),

  gitlab: gitlabTable,
  'gitlab-shell': gitlabShellTable,

  concurrency: tables('Concurrency limit of one RPC.', {
    rpc: text({
      doc: 'Full method name.',
      example: '"/gitaly.SmartHTTPService/PostUploadPackWithSidechannel"',
      default: '',
    }),
    ...concurrencyLimits({ max: 0, queue: 500 }),
    unauthenticated: table('Limits for callers without a user.', concurrencyLimits({ max: 0, queue: 0 })),
  }),
  rate_limiting: tables('Limit of how often calls of one RPC start for one repository. Not in Gitaly 18.0.', {
    rpc: text({ doc: 'Full method name.', default: '' }),
    interval: duration({
      doc: 'Time after which one more call may start. 0s means no limit.',
      defaultMs: 0,
    }),
    burst: integer({ doc: 'Calls that may start at once after a pause.', default: 0 }),
  }),
  pack_objects_limiting: table(
    'Limits of packs that are made at once. The limits of one caller, by its IP address, apply if ' +
      'pack_objects_cache is enabled, or if they differ from the defaults.',
    {
      ...concurrencyLimits({ max: 200, queue: 200 }),
      max_total: integer({
        doc:
          'Packs that are made at once for all callers. 0 means a number derived from the processors ' +
          'and the memory of the machine. -1 means no limit. Not in Gitaly.',
        default: 0,
        accepted: 'a whole number, -1 or greater',
      }),
      unauthenticated: table('Limits for callers without a user.', concurrencyLimits({ max: 0, queue: 0 })),
    },
  ),
  pack_objects_cache: table(
    'Cache of pack files for identical fetches.',
    cacheTable({ backpressure: true, minOccurrences: 1, name: 'PackObjectsCache' }),
  ),
  archive_cache: table(
    'Cache of archives.',
    cacheTable({
      backpressure: false,
      minOccurrences: 0,
      name: 'ArchiveCache',
    }),
  ),
  adaptive_limiting: table(
    'Signs of overload that lower adaptive limits. They are looked for every 10 seconds in the control ' +
      'group (v2) of the server; a delayed event loop and a full heap are signs, too.',
    {
      cpu_throttled_threshold: float({
        doc: 'Share of time in which the cgroup is throttled. 0 means 0.5.',
        default: 0.5,
      }),
      memory_threshold: float({
        doc: "Share of the cgroup's memory limit that processes use. 0 means 0.6.",
        default: 0.6,
      }),
      psi_pressure: table('Pressure stall information.', {
        memory: table('Memory.', pressure(PRESSURE_DEFAULTS.memory)),
        io: table('Disk.', pressure(PRESSURE_DEFAULTS.io)),
        cpu: table('Processor.', pressure(PRESSURE_DEFAULTS.cpu)),
      }),
    },
  ),
  load_shedder: table(
    'Ends the reading calls that used the most processor time, with RESOURCE_EXHAUSTED, when a pressure ' +
      'of adaptive_limiting.psi_pressure is critical, or the kernel has ended a process for lack of memory.',
    { enabled: flag({ doc: 'Enable it.' }) },
  ),
  workers: workersTable,
  archive: archiveTable,
  events: eventsTable,
  webhook: webhookTables,
  console: consoleTable,
  cgroups: cgroupsTable,
  daily_maintenance: table(
    'Housekeeping once a day. Without this table: at 12:00, ten minutes, all storages.',
    {
      start_hour: integer({
        doc: 'Local time, 0 to 23.',
        default: 0,
        type: 'uint',
        accepted: 'a whole number from 0 to 23',
      }),
      start_minute: integer({
        doc: '0 to 59.',
        default: 0,
        type: 'uint',
        accepted: 'a whole number from 0 to 59',
      }),
      duration: duration({
        doc: 'Duration, at most a day.',
        defaultMs: 0,
        accepted: 'a duration in quotes, at most "24h"',
      }),
      storages: texts({ doc: 'Names of storages.', accepted: 'a list of names of storages in this file' }),
      disabled: flag({ doc: 'Disable it.' }),
    },
  ),
  housekeeping: table('Maintenance of repositories. Not in Gitaly.', {
    automatic: flag({
      doc:
        'Start maintenance after writes, and at the first read of a repository with many files. ' +
        'false leaves it to OptimizeRepository and [daily_maintenance].',
      default: true,
      example: 'true',
    }),
  }),
  backup: table('Backups made by the server.', {
    go_cloud_url: text({
      doc:
        'Bucket of the backups: file:///directory (created, unless ?create_dir=false), a path, mem://, ' +
        's3://bucket?region=…, gs://bucket or azblob://container. The last three need npm packages.',
      accepted: BUCKET,
    }),
    wal_backup_go_cloud_url: text({
      doc: 'URL for the write-ahead log.',
      accepted: 'a URL',
      noEffect: 'this server has no write-ahead log',
    }),
    wal_backup_worker_count: integer({
      doc: 'Concurrent uploads.',
      default: 1,
      type: 'uint',
      noEffect: 'this server has no write-ahead log',
    }),
    buffer_size: integer({
      doc:
        'Size of an upload part in bytes, in s3://, gs:// and azblob:// buckets. 0 means 5 MiB (the ' +
        'minimum of s3://), and 8 MiB for gs://.',
      default: 0,
    }),
    layout: text({ doc: 'Layout of a backup.', noEffect: 'removed in 18.9' }),
  }),
  bundle_uri: table('Bundles from which clones get most of their objects.', {
    go_cloud_url: text({
      doc:
        'Bucket of the bundles, as in [backup]. The options base_url and secret_key_path sign the ' +
        'addresses for clients; s3://, gs:// and azblob:// sign their own.',
      accepted: BUCKET,
    }),
    automatic: flag({
      doc:
        'Make bundles of repositories that are cloned five times within a minute, and offer them, ' +
        'without feature flags. Not in Gitaly.',
    }),
    max_age: duration({
      doc: 'Age from which an automatic bundle without the newest commits is not offered. Not in Gitaly.',
      defaultMs: 24 * 3600 * 1000,
      example: '"24h"',
    }),
  }),
  lfs: lfsTable,
  timeout: table('Time limits that protect the server from stalled clients.', {
    upload_pack_negotiation: duration({
      doc: 'Time limit for the negotiation of a fetch.',
      defaultMs: 600_000,
      example: '"10m"',
    }),
    upload_archive_negotiation: duration({
      doc: 'Time limit for receiving the request of a remote archive.',
      defaultMs: 60_000,
      example: '"1m"',
    }),
  }),
  compatibility: table('Clients older than the current interface. Not in Gitaly.', {
    oldest_client: text({
      doc:
        'Version of the oldest client. Before 16.0 responses also have the fields that only such ' +
        'clients read: FindLocalBranches sends every branch twice, GetTreeEntries adds root_oid to ' +
        'every entry, but not for clients with grpc-go 1.60 or newer.',
      default: '15.0',
      example: '"15.0"',
      accepted: 'a version from "15.0" on, such as "16.7"',
    }),
  }),
  transactions: transactionsTable,
  raft: raftTable,
  offloading: offloadingTable,
  pool_metadata: table('Members of object pools, for the pool RPCs of InternalGitaly.', {
    database_path: text({
      doc: 'SQLite file. Created if it is missing. Without it there is no store.',
      example: '"/home/git/gitaly-pools.db"',
    }),
  }),
  'gitaly-ruby': rubyTable,
};

/** Values of the schema's keys, with defaults. */
export type ConfigValues = ConfigOf<typeof schema>;
