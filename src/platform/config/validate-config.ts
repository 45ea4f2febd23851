import { dirname, isAbsolute } from 'node:path';
import { formatGoDuration } from '#base/go/duration';
import { urlProblem } from '#base/go/net/url';
import { quote } from '#base/go/quote';
import {
  atLeast,
  bucketUrlProblem,
  type ConfigProblem,
  clientVersion,
  directoryExists,
  fileExists,
  gitConfigKey,
  greaterThan,
  natural,
  notBlank,
  Problems,
  refFormat,
  within,
} from './checks.ts';
import { consoleProblems } from './console-problems.ts';
import { mountPointProblem } from './mount-point.ts';
import type { ReadConfig } from './read-config.ts';
import type { ConfigValues } from './schema/schema.ts';
import { workersProblem } from './schema/workers.ts';
import { authProblems, prometheusProblems, tlsProblems } from './server-checks.ts';
import { webhookProblems } from './webhook-problems.ts';

type Limits = ConfigValues['packObjectsLimiting']['unauthenticated'];

/**
 * Returns all problems of a configuration, in the order and with the texts of `gitaly configuration
 * validate` (19.0).
 *
 * Two keys that Gitaly requires are optional here, so that a server can run without GitLab:
 * `bin_dir` and the table `[gitlab]`. An empty document is nevertheless checked against what GitLab
 * needs, because its author has not chosen yet.
 */
export function validateConfig(config: ReadConfig): ConfigProblem[] {
  const { values } = config;
  const empty = Object.keys(config.raw).length === 0;
  const problems = new Problems();

  if (
    values.socketPath === undefined &&
    values.listenAddr === undefined &&
    values.tlsListenAddr === undefined
  ) {
    problems.add('none of "socket_path", "listen_addr" or "tls_listen_addr" is set');
  }
  if (values.binDir !== undefined || empty) problems.add(directoryExists(values.binDir ?? ''), 'bin_dir');
  if (values.runtimeDir !== undefined) problems.add(directoryExists(values.runtimeDir), 'runtime_dir');
  problems.add(refFormat(values.git.defaultRefFormat), 'git', 'default_ref_format');
  for (const setting of values.git.config) problems.add(gitConfigKey(setting.key), 'git', 'config', 'key');
  problems
    .addAll(storageProblems(values.storage), 'storage')
    .addAll(prometheusProblems(values.prometheus), 'prometheus')
    .addAll(authProblems(values.auth), 'auth')
    .addAll(tlsProblems(values.tls), 'tls');
  if (empty || usesGitlab(values)) gitlab(values.gitlab, problems);
  if (values.gitlabShell.dir !== undefined)
    problems.add(directoryExists(values.gitlabShell.dir), 'gitlab-shell', 'dir');
  problems.add(atLeast(values.gracefulRestartTimeoutMs, 0, formatGoDuration), 'graceful_restart_timeout');
  problems.add(workersProblem(values.workers), 'workers', 'max');
  problems
    .addAll(archiveProblems(values), 'archive')
    .addAll(eventsProblems(values), 'events')
    .addAll(webhookProblems(values.webhook, { ...values, storages: values.storage }), 'webhook')
    .addAll(consoleProblems(values.console, values.storage), 'console');
  dailyMaintenance(values, problems);
  cgroups(values.cgroups, problems);
  for (const [index, limit] of values.concurrency.entries()) {
    concurrencyLimits(limit, problems, 'concurrency', `[${index}]`);
    if (isSet(limit.unauthenticated))
      concurrencyLimits(limit.unauthenticated, problems, 'concurrency', `[${index}]`, 'unauthenticated');
  }
  packObjectsCache(values.packObjectsCache, problems);
  packObjectsLimiting(values.packObjectsLimiting, problems);
  problems
    .add(bucketUrlProblem(values.backup.goCloudUrl ?? ''), 'backup', 'go_cloud_url')
    .add(urlProblem(values.backup.walBackupGoCloudUrl ?? ''), 'backup', 'wal_backup_go_cloud_url')
    .add(bucketUrlProblem(values.bundleUri.goCloudUrl ?? ''), 'bundle_uri', 'go_cloud_url')
    .add(bucketUrlProblem(values.lfs.url ?? ''), 'lfs', 'url');
  problems.add(clientVersion(values.compatibility.oldestClient), 'compatibility', 'oldest_client');
  raft(values, problems);
  if (values.offloading.enabled && values.offloading.goCloudUrl !== undefined) {
    problems.add(urlProblem(values.offloading.goCloudUrl), 'offloading', 'go_cloud_url');
  }
  return problems.list;
}

const MIN_JOURNAL_BYTES = 65_536;

/** Returns the problems of `[events]`, with relative keys. */
export function eventsProblems({ events }: ConfigValues): ConfigProblem[] {
  const problems = new Problems();
  if (events.maxBytes < MIN_JOURNAL_BYTES)
    problems.add(`must be at least ${MIN_JOURNAL_BYTES}: ${events.maxBytes}`, 'max_bytes');
  if (events.maxAgeMs <= 0) problems.add('must be longer than 0s', 'max_age');
  return problems.list;
}

const HOUR_MS = 3600_000;

/** Returns the problems of `[archive]`, with relative keys. */
export function archiveProblems({ archive }: ConfigValues): ConfigProblem[] {
  const { keepAllMs, removedMs } = archive;
  const problems = new Problems();
  if (keepAllMs < HOUR_MS) problems.add(`must be at least 1h: ${formatGoDuration(keepAllMs)}`, 'keep_all');
  if (removedMs !== 0 && removedMs < HOUR_MS)
    problems.add(`must be at least 1h, or 0s: ${formatGoDuration(removedMs)}`, 'removed');
  return problems.list;
}

/** Reports whether the file configures the GitLab API. If not, the server runs stand-alone. */
export function usesGitlab(values: ConfigValues): boolean {
  return (
    values.gitlab.url !== undefined ||
    values.gitlab.secret !== undefined ||
    values.gitlab.secretFile !== undefined
  );
}

/** Returns the problems of `[[storage]]`, with relative keys. Expects clean paths. */
export function storageProblems(storages: ConfigValues['storage']): ConfigProblem[] {
  const problems = new Problems();
  if (storages.length === 0) problems.add('not set');
  for (const [index, storage] of storages.entries()) {
    problems.add(storage.name === '' ? 'not set' : undefined, `[${index}]`, 'name');
    problems.add(directoryExists(storage.path), `[${index}]`, 'path');
  }
  for (const [index, storage] of storages.entries()) {
    for (const other of storages.slice(0, index)) {
      if (other.name === storage.name)
        problems.add(`not unique: ${quote(storage.name)}`, `[${index}]`, 'name');
      if (storage.archive.some((url) => other.archive.includes(url)))
        problems.add('two storages have the same archive', `[${index}]`, 'archive');
      if (other.path === storage.path)
        problems.add(`not unique: ${quote(storage.path)}`, `[${index}]`, 'path');
      else if (isInside(storage.path, other.path) || isInside(other.path, storage.path)) {
        problems.add(`can't nest: ${quote(storage.path)} and ${quote(other.path)}`, `[${index}]`, 'path');
      }
    }
  }
  return problems.list;
}

function isInside(path: string, directory: string): boolean {
  return (
    path.startsWith(directory.endsWith('/') ? directory : `${directory}/`) &&
    dirname(path) !== dirname(directory)
  );
}

function gitlab(values: ConfigValues['gitlab'], problems: Problems): void {
  const { url, secret, secretFile, httpSettings: http } = values;
  problems.add(notBlank(url) ?? urlProblem(url ?? ''), 'gitlab', 'url');
  if (secret !== undefined && secretFile !== undefined)
    problems.add('ambiguous secret configuration', 'gitlab', 'secret', 'secret_file');
  if (secret === undefined)
    problems.add(fileExists(secretFile ?? '.gitlab_shell_secret'), 'gitlab', 'secret_file');
  if (http.user !== undefined || http.password !== undefined) {
    problems
      .add(notBlank(http.user), 'gitlab', 'http-settings', 'user')
      .add(notBlank(http.password?.reveal()), 'gitlab', 'http-settings', 'password');
  }
  if (http.caFile !== undefined) problems.add(fileExists(http.caFile), 'gitlab', 'http-settings', 'ca_file');
  if (http.caPath !== undefined)
    problems.add(directoryExists(http.caPath), 'gitlab', 'http-settings', 'ca_path');
}

function dailyMaintenance(values: ConfigValues, problems: Problems): void {
  const job = values.dailyMaintenance;
  if (job.disabled) return;
  problems
    .add(within(job.startHour, 0, 23), 'daily_maintenance', 'start_hour')
    .add(within(job.startMinute, 0, 59), 'daily_maintenance', 'start_minute')
    .add(within(job.durationMs, 0, 24 * 3_600_000, formatGoDuration), 'daily_maintenance', 'duration');
  for (const [index, name] of job.storages.entries()) {
    const known = values.storage.some((storage) => storage.name === name);
    if (!known) problems.add(`doesn't exist: ${quote(name)}`, 'daily_maintenance', 'storages', `[${index}]`);
  }
}

function cgroups(values: ConfigValues['cgroups'], problems: Problems): void {
  const { repositories } = values;
  problems
    .add(mountPointProblem(values), 'cgroups', 'mountpoint')
    .add(
      within(repositories.maxCgroupsPerRepo, 0, repositories.count),
      'cgroups',
      'repositories',
      'max_cgroups_per_repo',
    )
    .add(natural(values.memoryBytes), 'cgroups', 'repositories', 'memory_bytes')
    .add(natural(values.cpuQuotaUs), 'cgroups', 'repositories', 'cpu_quota_us');
  const bounds = [
    ['memory_bytes', repositories.memoryBytes, values.memoryBytes],
    ['cpu_shares', repositories.cpuShares, values.cpuShares],
    ['cpu_quota_us', repositories.cpuQuotaUs, values.cpuQuotaUs],
  ] as const;
  for (const [name, value, parent] of bounds) {
    if (parent > 0) problems.add(within(value, 0, parent), 'cgroups', 'repositories', name);
  }
}

function isSet(limits: Limits): boolean {
  return limits.adaptive || limits.maxConcurrency > 0 || limits.maxPerRepo > 0;
}

function concurrencyLimits(limits: Limits, problems: Problems, ...key: string[]): void {
  problems
    .add(atLeast(limits.maxConcurrency, 0), ...key, 'max_concurrency')
    .add(atLeast(limits.maxPerRepo, 0), ...key, 'max_per_repo')
    .add(greaterThan(limits.maxQueueSize, 0), ...key, 'max_queue_size')
    .add(atLeast(limits.maxQueueWaitMs, 0, formatGoDuration), ...key, 'max_queue_wait');
  adaptiveLimits(limits, problems, ...key);
}

function adaptiveLimits(limits: Limits, problems: Problems, ...key: string[]): void {
  if (!limits.adaptive) return;
  problems
    .add(greaterThan(limits.minLimit, 0), ...key, 'min_limit')
    .add(atLeast(limits.maxLimit, limits.initialLimit), ...key, 'max_limit')
    .add(atLeast(limits.initialLimit, limits.minLimit), ...key, 'initial_limit');
}

function packObjectsCache(cache: ConfigValues['packObjectsCache'], problems: Problems): void {
  if (!cache.enabled) return;
  const dir = cache.dir ?? '';
  problems
    .add(isAbsolute(dir) ? undefined : `not an absolute path: ${quote(dir)}`, 'pack_objects_cache', 'dir')
    .add(atLeast(cache.maxAgeMs, 0, formatGoDuration), 'pack_objects_cache', 'max_age');
}

function packObjectsLimiting(limits: ConfigValues['packObjectsLimiting'], problems: Problems): void {
  const key = 'pack_objects_limiting';
  problems
    .add(atLeast(limits.maxConcurrency, 0), key, 'max_concurrency')
    .add(atLeast(limits.maxPerRepo, 0), key, 'max_per_repo')
    .add(atLeast(limits.maxQueueWaitMs, 0, formatGoDuration), key, 'max_queue_wait')
    .add(greaterThan(limits.maxQueueSize, 0), key, 'max_queue_size');
  if (limits.maxQueueLength !== 0)
    problems.add(greaterThan(limits.maxQueueLength, 0), key, 'max_queue_length');
  adaptiveLimits(limits, problems, key);
  if (isSet(limits.unauthenticated))
    concurrencyLimits(limits.unauthenticated, problems, key, 'unauthenticated');
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function raft(values: ConfigValues, problems: Problems): void {
  const { raft, transactions } = values;
  if (!raft.enabled) return;
  problems
    .add(transactions.enabled ? undefined : 'transactions must be enabled to enable Raft', 'raft', 'enabled')
    .add(raft.clusterId === '' ? 'not set' : undefined, 'raft', 'cluster_id')
    .add(
      isAbsolute(raft.snapshotDir) ? undefined : `not an absolute path: ${quote(raft.snapshotDir)}`,
      'raft',
      'snapshot_dir',
    )
    .add(directoryExists(raft.snapshotDir), 'raft');
  if (raft.clusterId !== '' && !UUID.test(raft.clusterId)) {
    problems.add(
      `invalid UUID format for ClusterID: invalid UUID length: ${raft.clusterId.length}`,
      'raft',
      'cluster_id',
    );
  }
}
