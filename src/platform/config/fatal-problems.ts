import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { formatGoDuration } from '#base/go/duration';
import { addressProblem } from '#base/go/net/address-problem';
import { badEscape } from '#base/go/net/url';
import { quote } from '#base/go/quote';
import { parseBool } from '#base/go/strconv';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import {
  ascending,
  bucketUrlProblem,
  type ConfigProblem,
  clientVersion,
  gitConfigKey,
  keyPairProblem,
  keyPathOf,
  openProblem,
} from './checks.ts';
import { consoleProblems } from './console-problems.ts';
import { mountPointProblem } from './mount-point.ts';
import type { ReadConfig } from './read-config.ts';
import type { ConfigValues } from './schema/schema.ts';
import { workersProblem } from './schema/workers.ts';
import { authProblems, tlsProblems } from './server-checks.ts';
import type { KeyPath } from './toml-position.ts';
import { archiveProblems, eventsProblems, storageProblems, usesGitlab } from './validate-config.ts';
import { webhookProblems } from './webhook-problems.ts';

/** A reason that prevents the start. */
export interface FatalProblem {
  /**
   * Text that Gitaly prints, at start or when it detects the problem later. Operators and tools
   * search for it.
   */
  readonly message: string;
  /** The keys that cause the problem. */
  readonly keys: readonly KeyPath[];
}

type Check = (values: ConfigValues, env: NodeJS.ProcessEnv) => FatalProblem | undefined;

/**
 * Returns the first problem that prevents the start, or `undefined`. The first group is what Gitaly
 * refuses on loading, in its order. Gitaly detects the second group later, after it has opened
 * sockets; this server detects it before.
 */
export function fatalProblem(config: ReadConfig, env: NodeJS.ProcessEnv): FatalProblem | undefined {
  for (const check of CHECKS) {
    const problem = check(config.values, env);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const invalid = (message: string, ...keys: readonly KeyPath[]): FatalProblem => ({
  message: `invalid config: ${message}`,
  keys,
});

const CHECKS: readonly Check[] = [
  (values) =>
    values.socketPath === undefined && values.listenAddr === undefined && values.tlsListenAddr === undefined
      ? invalid('at least one of socket_path, listen_addr or tls_listen_addr must be set', ['socket_path'])
      : undefined,
  ({ compatibility: { oldestClient } }) => {
    const problem = clientVersion(oldestClient);
    return problem === undefined
      ? undefined
      : invalid(`compatibility.oldest_client: ${problem}`, ['compatibility', 'oldest_client']);
  },
  (values) => {
    const problems = storageProblems(values.storage);
    const text = problems
      .map(({ key, message }) => (key.length === 0 ? message : `${key.join('.')}: ${message}`))
      .join('\n');
    return problems.length === 0
      ? undefined
      : invalid(text, ...problems.map(({ key }) => ['storage', ...keyPathOf(key)]));
  },
  (values) => {
    for (const [position, { key }] of values.git.config.entries()) {
      const problem = gitConfigKey(key);
      if (problem !== undefined)
        return invalid(`invalid configuration key ${quote(key)}: key: ${problem}`, [
          'git',
          'config',
          position,
          'key',
        ]);
    }
    return undefined;
  },
  (values) => {
    const problems = authProblems(values.auth);
    const text = problems.map(({ key, message }) => `${key.join('.')}: ${message}`).join('\n');
    return problems.length === 0
      ? undefined
      : invalid(text, ...problems.map(({ key }) => ['auth', key.at(-1) ?? '']));
  },
  (values) => missingDirectory(values.binDir, 'bin_dir'),
  (values) => missingDirectory(values.runtimeDir, 'runtime_dir'),
  maintenance,
  (values) => {
    const problem = workersProblem(values.workers);
    return problem === undefined ? undefined : invalid(`workers.max: ${problem}`, ['workers', 'max']);
  },
  (values) => firstOf('archive', archiveProblems(values)),
  (values) => firstOf('events', eventsProblems(values)),
  (values) => firstOf('console', consoleProblems(values.console, values.storage)),
  (values) => {
    const [problem] = webhookProblems(values.webhook, { ...values, storages: values.storage });
    const name = problem && ['webhook', ...problem.key].join('.');
    return problem && invalid(`${name}: ${problem.message}`, ['webhook', ...keyPathOf(problem.key)]);
  },
  cgroups,
  packObjectsCache,
  // Gitaly detects these later.
  (values) => {
    if (values.logging.format === 'text' || values.logging.format === 'json') return undefined;
    return logging(`invalid logger format ${quote(values.logging.format)}`, 'format');
  },
  (values) => {
    if (/^(panic|fatal|error|warn|warning|info|debug|trace)$/i.test(values.logging.level)) return undefined;
    return logging(`parse level: not a valid logrus Level: ${quote(values.logging.level)}`, 'level');
  },
  (values) => {
    const problem = ascending(values.prometheus.grpcLatencyBuckets);
    return problem === undefined
      ? undefined
      : invalid(`prometheus.grpc_latency_buckets: ${problem}`, ['prometheus', 'grpc_latency_buckets']);
  },
  (values) => address(values.listenAddr, 'listen_addr') ?? address(values.tlsListenAddr, 'tls_listen_addr'),
  (values) => address(values.prometheusListenAddr, 'prometheus_listen_addr'),
  socketPath,
  gitProgram,
  gitlabApi,
  tlsListener,
  ({ backup }) => bucket('resolve backup sink', 'backup', backup.goCloudUrl),
  ({ bundleUri }) => bucket('create bundle-URI sink', 'bundle_uri', bundleUri.goCloudUrl),
  ({ lfs }) => bucket('open store of LFS', 'lfs', lfs.url, 'url'),
];

function bucket(step: string, table: string, url = '', key = 'go_cloud_url'): FatalProblem | undefined {
  const problem = bucketUrlProblem(url);
  return problem === undefined ? undefined : invalid(`${step}: ${problem}`, [table, key]);
}

function logging(text: string, key: string): FatalProblem {
  return { message: `configuring logger failed: configuring logger: ${text}`, keys: [['logging', key]] };
}

function missingDirectory(path: string | undefined, name: string): FatalProblem | undefined {
  if (path === undefined) return undefined;
  try {
    return statSync(path).isDirectory()
      ? undefined
      : invalid(`${name}: not a directory: ${quote(path)}`, [name]);
  } catch (error) {
    const reason =
      systemErrorCode(error) === 'ENOENT'
        ? `path doesn't exist: ${quote(path)}`
        : `stat ${path}: ${systemErrorText(error)}`;
    return invalid(`${name}: ${reason}`, [name]);
  }
}

function maintenance(values: ConfigValues): FatalProblem | undefined {
  const { storages, startHour, startMinute, durationMs } = values.dailyMaintenance;
  const text = 'daily maintenance specified';
  const names = new Set(values.storage.map((storage) => storage.name));
  const stranger = storages.find((name) => !names.has(name));
  if (stranger !== undefined) {
    return invalid(`${text} storage ${quote(stranger)} does not exist in configuration`, [
      'daily_maintenance',
      'storages',
    ]);
  }
  if (startHour > 23)
    return invalid(`${text} hour '${startHour}' outside range (0-23)`, ['daily_maintenance', 'start_hour']);
  if (startMinute > 59)
    return invalid(`${text} minute '${startMinute}' outside range (0-59)`, [
      'daily_maintenance',
      'start_minute',
    ]);
  if (durationMs > 24 * 3_600_000) {
    return invalid(`${text} duration ${formatGoDuration(durationMs)} must be less than 24 hours`, [
      'daily_maintenance',
      'duration',
    ]);
  }
  return undefined;
}

function cgroups({ cgroups: parent }: ConfigValues): FatalProblem | undefined {
  const bounds = [
    ['memory limit', 'memory_bytes', parent.repositories.memoryBytes, parent.memoryBytes],
    ['cpu shares', 'cpu_shares', parent.repositories.cpuShares, parent.cpuShares],
    ['cpu quota', 'cpu_quota_us', parent.repositories.cpuQuotaUs, parent.cpuQuotaUs],
  ] as const;
  for (const [name, key, value, limit] of bounds) {
    if (limit > 0 && value > limit)
      return invalid(`cgroups.repositories: ${name} cannot exceed parent`, ['cgroups', 'repositories', key]);
  }
  const problem = mountPointProblem(parent);
  return problem === undefined
    ? undefined
    : invalid(`cgroups.mountpoint: ${problem}`, ['cgroups', 'mountpoint']);
}

function packObjectsCache(values: ConfigValues): FatalProblem | undefined {
  const cache = values.packObjectsCache;
  if (!cache.enabled) return undefined;
  if (cache.maxAgeMs < 0)
    return invalid('pack_objects_cache.max_age cannot be negative', ['pack_objects_cache', 'max_age']);
  const key = ['pack_objects_cache', 'dir'];
  if (cache.dir === undefined)
    return invalid('pack_objects_cache: cannot pick default cache directory: no storages', key);
  if (!isAbsolute(cache.dir))
    return invalid('pack_objects_cache: storage directory must be absolute path', key);
  const directory = resolve(cache.dir);
  if (values.storage.some((storage) => `${resolve(storage.path)}/`.startsWith(`${directory}/`))) {
    return invalid(
      'pack_objects_cache: the specified cache directory cannot be the same or a parent of the storage path',
      key,
    );
  }
  return undefined;
}

function firstOf(table: string, [problem]: readonly ConfigProblem[]): FatalProblem | undefined {
  const key = problem && [table, ...problem.key];
  return key && invalid(`${key.join('.')}: ${problem.message}`, key);
}

function address(value: string | undefined, key: string): FatalProblem | undefined {
  const problem = value === undefined ? undefined : addressProblem(value);
  return problem === undefined ? undefined : invalid(`${key}: listen tcp: ${problem}`, [key]);
}

/**
 * Maximum length of a path in a socket address, without the closing NUL (Linux: unix(7), 108 bytes;
 * 104 elsewhere).
 */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

function socketPath({ socketPath: path }: ConfigValues): FatalProblem | undefined {
  if (path === undefined) return undefined;
  const fails = (reason: string): FatalProblem =>
    invalid(`socket_path: listen unix ${path}: bind: ${reason}`, ['socket_path']);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) return fails('invalid argument');
  return statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory()
    ? undefined
    : fails('no such file or directory');
}

function gitProgram(values: ConfigValues, env: NodeJS.ProcessEnv): FatalProblem | undefined {
  const path = values.git.binPath;
  if (path === undefined || env.GITALY_TESTING_GIT_BINARY) return undefined;
  try {
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    return invalid(`git.bin_path: git version detection: fork/exec ${path}: ${systemErrorText(error)}`, [
      'git',
      'bin_path',
    ]);
  }
}

function gitlabApi(values: ConfigValues, env: NodeJS.ProcessEnv): FatalProblem | undefined {
  if (!usesGitlab(values) || parseBool(env.GITALY_TESTING_NO_GIT_HOOKS ?? '') === true) return undefined;
  const { url = '', secret, secretFile = '' } = values.gitlab;
  const fails = (reason: string, key: string): FatalProblem =>
    invalid(`could not create GitLab API client: ${reason}`, ['gitlab', key]);
  const sequence = badEscape(url);
  if (sequence !== undefined) return fails(`invalid URL escape ${quote(sequence)}`, 'url');
  if (!/^(https?|http\+unix):\/\//.test(url))
    return fails('building new HTTP client for GitLab API: unknown GitLab URL prefix', 'url');
  if (secret === undefined) {
    try {
      readFileSync(secretFile);
    } catch (error) {
      return fails(`reading secret file: ${openProblem(error)}`, 'secret_file');
    }
  }
  const { certificatePath, keyPath, key } = values.tls;
  if (certificatePath === undefined || (keyPath === undefined && key === undefined)) return undefined;
  const pair = keyPairProblem(certificatePath, key === undefined ? { path: keyPath ?? '' } : { pem: key });
  return pair === undefined
    ? undefined
    : {
        ...fails(`getting certificate: ${pair}`, ''),
        keys: [
          ['tls', 'certificate_path'],
          ['tls', 'key_path'],
        ],
      };
}

function tlsListener(values: ConfigValues): FatalProblem | undefined {
  if (values.tlsListenAddr === undefined) return undefined;
  const { certificatePath = '', keyPath = '', key } = values.tls;
  const pair = keyPairProblem(certificatePath, key === undefined ? { path: keyPath } : { pem: key });
  if (pair === undefined) return undefined;
  const wrong = tlsProblems(values.tls).flatMap((problem) => problem.key);
  const keys = wrong.length > 0 ? wrong : ['certificate_path', 'key_path'];
  return invalid(
    `create external gRPC server: error reading certificate and key paths: ${pair}`,
    ...keys.map((name) => ['tls', name]),
  );
}
