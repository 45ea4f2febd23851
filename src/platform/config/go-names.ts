import type { Fields, Node } from './keys.ts';
import { schema } from './schema/schema.ts';
import type { KeyPath } from './toml-position.ts';

/**
 * Go types and fields that cannot be derived from the key. Gitaly's messages about a value of the
 * wrong type contain them. Names are joined with dots, without indexes.
 */
const STRUCTS: Readonly<Record<string, string>> = {
  '': 'config.Cfg',
  auth: 'auth.Config',
  backup: 'config.BackupConfig',
  bundle_uri: 'config.BundleURIConfig',
  cgroups: 'cgroups.Config',
  'cgroups.repositories': 'cgroups.Repositories',
  'cgroups.memory': 'cgroups.Memory',
  'cgroups.cpu': 'cgroups.CPU',
  daily_maintenance: 'config.DailyJob',
  git: 'config.Git',
  'git.config': 'config.GitConfig',
  gitlab: 'config.Gitlab',
  'gitlab.http-settings': 'config.HTTPSettings',
  pack_objects_cache: 'config.StreamCacheConfig',
  archive_cache: 'config.StreamCacheConfig',
  pool_metadata: 'config.PoolMetadataConfig',
  prometheus: 'prometheus.Config',
  timeout: 'config.TimeoutConfig',
  'adaptive_limiting.psi_pressure': 'config.PSIPressureConfig',
  'adaptive_limiting.psi_pressure.memory': 'config.PSIResourceConfig',
  'adaptive_limiting.psi_pressure.io': 'config.PSIResourceConfig',
  'adaptive_limiting.psi_pressure.cpu': 'config.PSIResourceConfig',
  'concurrency.unauthenticated': 'config.ConcurrencyLimits',
  'pack_objects_limiting.unauthenticated': 'config.ConcurrencyLimits',
};

const FIELDS: Readonly<Record<string, string>> = {
  storage: 'Storages',
  'tls.certificate_path': 'CertPath',
  'gitlab.http-settings': 'HTTPSettings',
  'logging.sentry_dsn': 'DSN',
  'logging.sentry_environment': 'Environment',
  'daily_maintenance.start_hour': 'Hour',
  'daily_maintenance.start_minute': 'Minute',
  'backup.wal_backup_go_cloud_url': 'WALGoCloudURL',
  'backup.wal_backup_worker_count': 'WALWorkerCount',
  'hooks.packobjects_hook_max_proc': 'PackObjectsHookMaxProc',
  'raft.election_rtt': 'ElectionTicks',
  'raft.heartbeat_rtt': 'HeartbeatTicks',
};

const INITIALISMS = new Map([
  ['tls', 'TLS'],
  ['url', 'URL'],
  ['uri', 'URI'],
  ['rpc', 'RPC'],
  ['ca', 'CA'],
  ['cpu', 'CPU'],
  ['psi', 'PSI'],
  ['io', 'IO'],
  ['id', 'ID'],
  ['rtt', 'RTT'],
]);

/** Returns `config.Cfg.SocketPath` for `socket_path`. */
export function structField(path: KeyPath): string {
  const names = namesOf(path);
  const parent = names.slice(0, -1).join('.');
  const struct = STRUCTS[parent] ?? `config.${pascal(names.at(-2) ?? '')}`;
  return `${struct}.${FIELDS[names.join('.')] ?? pascal(names.at(-1) ?? '')}`;
}

/** Returns the Go type of a key: `string`, `duration.Duration`, `[]config.Storage`. */
export function goType(path: KeyPath, node = nodeAt(path, schema)): string {
  const names = namesOf(path);
  switch (node?.kind) {
    case 'integer':
      return node.integerType ?? 'int';
    case 'integer-or-auto':
      return 'int';
    case 'float':
      return 'float64';
    case 'flag':
      return 'bool';
    case 'duration':
      return 'duration.Duration';
    case 'tls-version':
      return 'config.TLSVersion';
    case 'texts':
      return '[]string';
    case 'floats':
      return '[]float64';
    case 'table':
    case 'tables': {
      const struct = STRUCTS[names.join('.')] ?? `config.${pascal(names.at(-1) ?? '')}`;
      return node.kind === 'tables' ? `[]${struct}` : struct;
    }
    default:
      return 'string';
  }
}

/** Returns the schema's entry for a key path, or `undefined`. */
export function nodeAt(path: KeyPath, all: Fields): Node | undefined {
  let fields = all;
  let node: Node | undefined;
  for (const name of namesOf(path)) {
    node = fields[name];
    if (node === undefined) return undefined;
    fields = node.kind === 'table' || node.kind === 'tables' ? node.fields : {};
  }
  return node;
}

function namesOf(path: KeyPath): string[] {
  return path.filter((part) => typeof part === 'string');
}

function pascal(name: string): string {
  const words = name.split(/[-_]/);
  return words.map((word) => INITIALISMS.get(word) ?? word.charAt(0).toUpperCase() + word.slice(1)).join('');
}
