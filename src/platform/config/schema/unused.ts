/** Tables that Gitaly uses and this server only accepts. */
import { duration, flag, integer, table, text } from '../keys.ts';

const SWITCHED_OFF = 'not built: the server works as Gitaly does with enabled = false';

export const transactionsTable = table(
  'Write-ahead log, experimental.',
  {
    enabled: flag({ doc: 'Enable it.' }),
    max_inactive_partitions: integer({
      doc: 'Maximum number of inactive partitions that stay open.',
      default: 100,
      type: 'uint',
    }),
    recover_pending_wal: flag({ doc: 'Apply the pending entries of the log, then continue without it.' }),
  },
  {
    noEffect:
      'not built, except that with enabled = true MigrateReferenceBackend is served: else the server works ' +
      'as Gitaly does with enabled = false',
  },
);

export const raftTable = table(
  'Replication, experimental.',
  {
    enabled: flag({ doc: 'Enable it.' }),
    cluster_id: text({ doc: 'UUID of the cluster.', default: '' }),
    rtt_milliseconds: integer({ doc: 'Round-trip time between members.', default: 200, type: 'uint64' }),
    election_rtt: integer({ doc: 'Election timeout in round trips.', default: 20, type: 'uint64' }),
    heartbeat_rtt: integer({ doc: 'Heartbeat in round trips.', default: 2, type: 'uint64' }),
    proposal_conf_change_timeout: integer({
      doc: 'Time limit for a change of members, in milliseconds.',
      default: 5000,
      type: 'uint64',
    }),
    snapshot_dir: text({ doc: 'Directory of snapshots.', default: '' }),
  },
  { noEffect: SWITCHED_OFF },
);

export const offloadingTable = table(
  'Objects in an object store, experimental.',
  {
    enabled: flag({ doc: 'Enable it.' }),
    cache_root: text({ doc: 'Directory for downloads.' }),
    go_cloud_url: text({ doc: 'URL of the objects.', accepted: 'a URL' }),
  },
  { noEffect: SWITCHED_OFF },
);

export const rubyTable = table(
  'The Ruby helper of 15.x.',
  {
    dir: text({ doc: 'Directory of the helper.' }),
    max_rss: integer({ doc: 'Memory limit in bytes.', default: 200_000_000 }),
    graceful_restart_timeout: duration({ doc: 'Time limit for its running calls.', defaultMs: 600_000 }),
    restart_delay: duration({ doc: 'Time between restarts.', defaultMs: 300_000 }),
    num_workers: integer({ doc: 'Number of processes.', default: 2, type: 'uint' }),
    linguist_languages_path: text({ doc: 'Language data.' }),
    rugged_git_config_search_path: text({ doc: 'Git configuration.' }),
  },
  { noEffect: 'belongs to Gitaly versions before 18.0' },
);
