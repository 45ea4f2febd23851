import { parse, TomlError } from 'smol-toml';
import { messageOf } from '#base/gitaly-error';
import { formatGoDuration } from '#base/go/duration';
import { quote } from '#base/go/quote';
import { ascending, atLeast, type ConfigProblem, notBlank, Problems } from '#platform/config/checks';
import { consoleProblems } from '#platform/config/console-problems';
import { DecodeError, decode, type RawTable } from '#platform/config/decode';
import { workersProblem } from '#platform/config/schema/workers';
import { authProblems, prometheusProblems, tlsProblems } from '#platform/config/server-checks';
import { positionOf } from '#platform/config/toml-position';
import { webhookProblems } from '#platform/config/webhook-problems';
import { uselessKeys } from '#platform/config/without-effect';
import { eventsProblem } from './check-praefect-config.ts';
import { type PraefectConfig, praefectSchema } from './schema.ts';
import { STRATEGIES } from './strategy.ts';

const MINUTE_MS = 60_000;

export interface PraefectValidation {
  readonly problems: readonly ConfigProblem[];
  /** One line for each unknown key and each key without effect. These are warnings. */
  readonly warnings: readonly string[];
}

/** Returns all problems of a configuration, as `praefect configuration validate` (19.0) does. */
export function validatePraefectConfig(document: string): PraefectValidation {
  const failed = (message: string): PraefectValidation => ({
    problems: [{ key: [], message }],
    warnings: [],
  });
  try {
    const raw: RawTable = parse(document, { integersAsBigInt: true });
    const { unknown, values } = decode(praefectSchema, raw);
    const warnings = [...uselessKeys(praefectSchema, raw, unknown)].map(({ message, path }) => {
      const line = positionOf(document, path)?.line;
      return line === undefined ? message : `${message} (line ${line})`;
    });
    return { problems: configProblems(values), warnings };
  } catch (error) {
    const position = error instanceof DecodeError ? positionOf(document, error.path) : undefined;
    const { line, column } = error instanceof TomlError ? error : (position ?? {});
    const place = line === undefined ? '' : `line ${line} column ${column}: `;
    return failed(`${place}${messageOf(error).split('\n')[0]}`);
  }
}

/** Returns all problems of a configuration that has been read. */
export function configProblems(config: PraefectConfig): readonly ConfigProblem[] {
  const problems = new Problems();
  const { backgroundVerification, reconciliation, replication, virtualStorage } = config;
  if (!config.socketPath && !config.listenAddr && !config.tlsListenAddr)
    problems.add('none of "socket_path", "listen_addr" or "tls_listen_addr" is set');
  problems
    .add(
      atLeast(backgroundVerification.verificationIntervalMs, 0, formatGoDuration),
      'background_verification',
      'verification_interval',
    )
    .add(
      atLeast(reconciliation.schedulingIntervalMs, 0, formatGoDuration),
      'reconciliation',
      'scheduling_interval',
    );
  if (reconciliation.schedulingIntervalMs !== 0)
    problems.add(ascending(reconciliation.histogramBuckets), 'reconciliation', 'histogram_buckets');
  problems
    .add(atLeast(replication.batchSize, 1), 'replication', 'batch_size')
    .add(
      atLeast(replication.parallelStorageProcessingWorkers, 1),
      'replication',
      'parallel_storage_processing_workers',
    );
  problems
    .addAll(prometheusProblems(config.prometheus), 'prometheus')
    .addAll(authProblems(config.auth), 'auth')
    .addAll(tlsProblems(config.tls), 'tls')
    .addAll(consoleProblems(config.console, config.virtualStorage), 'console');
  failover(config.failover, problems);
  const ofEvents = eventsProblem(config);
  if (ofEvents !== undefined) problems.addAll([ofEvents], 'events');
  const { events, webhook } = config;
  problems.addAll(webhookProblems(webhook, { events, storages: virtualStorage }), 'webhook');
  problems.add(atLeast(config.gracefulStopTimeoutMs, 0, formatGoDuration), 'graceful_stop_timeout');
  cleanup(config.repositoriesCleanup, problems);
  problems
    .add(
      atLeast(config.yamux.maximumStreamWindowSizeBytes, 262_144),
      'yamux',
      'maximum_stream_window_size_bytes',
    )
    .add(atLeast(config.yamux.acceptBacklog, 1), 'yamux', 'accept_backlog');
  problems.add(workersProblem(config.workers), 'workers', 'max');
  if (virtualStorage.length === 0) problems.add('not set', 'virtual_storage');
  for (const [index, { name, node: nodes }] of virtualStorage.entries()) {
    const at = ['virtual_storage', `[${index}]`];
    problems.add(notBlank(name), ...at, 'name');
    if (nodes.length === 0) problems.add('not set', ...at, 'node');
    for (const [position, { address, storage }] of nodes.entries()) {
      problems
        .add(notBlank(storage), ...at, 'node', `[${position}]`, 'storage')
        .add(notBlank(address), ...at, 'node', `[${position}]`, 'address');
    }
  }
  return problems.list;
}

function failover(failover: PraefectConfig['failover'], problems: Problems): void {
  if (!failover.enabled) return;
  const { electionStrategy } = failover;
  if (!STRATEGIES.some((name) => name === electionStrategy))
    problems.add(`not supported: ${quote(electionStrategy)}`, 'failover', 'election_strategy');
  problems
    .add(atLeast(failover.bootstrapIntervalMs, 0, formatGoDuration), 'failover', 'bootstrap_interval')
    .add(atLeast(failover.monitorIntervalMs, 0, formatGoDuration), 'failover', 'monitor_interval')
    .add(atLeast(failover.errorThresholdWindowMs, 0, formatGoDuration), 'failover', 'error_threshold_window');
  const thresholds = [
    ['error_threshold_window', failover.errorThresholdWindowMs],
    ['write_error_threshold_count', failover.writeErrorThresholdCount],
    ['read_error_threshold_count', failover.readErrorThresholdCount],
  ] as const;
  if (thresholds.every(([, value]) => value === 0)) return;
  for (const [key, value] of thresholds) if (value === 0) problems.add('not set', 'failover', key);
}

function cleanup(cleanup: PraefectConfig['repositoriesCleanup'], problems: Problems): void {
  if (cleanup.runIntervalMs === 0) return;
  const add = (problem: string | undefined, key: string): Problems =>
    problems.add(problem, 'repositories_cleanup', key);
  add(atLeast(cleanup.checkIntervalMs, MINUTE_MS, formatGoDuration), 'check_interval');
  add(atLeast(cleanup.runIntervalMs, MINUTE_MS, formatGoDuration), 'run_interval');
  add(atLeast(cleanup.repositoriesInBatch, 1), 'repositories_in_batch');
}
