import { messageOf } from '#base/gitaly-error';
import { addressProblem } from '#base/go/net/address-problem';
import { quote } from '#base/go/quote';
import { parseAddress } from '#client/connect/address';
import { type ConfigProblem, keyPairProblem } from '#platform/config/checks';
import { consoleProblems } from '#platform/config/console-problems';
import { workersProblem } from '#platform/config/schema/workers';
import { authProblems } from '#platform/config/server-checks';
import { webhookProblems } from '#platform/config/webhook-problems';
import type { PraefectConfig } from './schema.ts';
import { STRATEGIES } from './strategy.ts';

const MINUTE_MS = 60_000;
const MIN_EVENTS = 1000;
const MIN_WINDOW_BYTES = 262_144;

/**
 * Returns the first problem with which Praefect does not start, with the texts of 19.0.
 */
export function startProblem(config: PraefectConfig): string | undefined {
  const { electionStrategy } = config.failover;
  if (!STRATEGIES.some((name) => name === electionStrategy))
    return `invalid election strategy: ${quote(electionStrategy)}`;
  const { events, listenAddr, socketPath, tlsListenAddr, virtualStorage, webhook } = config;
  if (!listenAddr && !socketPath && !tlsListenAddr) return 'no listen address or socket path configured';
  if (virtualStorage.length === 0) return 'no virtual storages configured';
  if (config.replication.batchSize < 1)
    return `replication batch size was ${config.replication.batchSize} but must be >=1`;
  return (
    virtualStorageProblem(config) ??
    cleanupProblem(config) ??
    yamuxProblem(config) ??
    problemText('', authProblems(config.auth)[0]) ??
    listenProblem(config) ??
    problemText('console.', consoleProblems(config.console, virtualStorage)[0]) ??
    thresholdProblem(config) ??
    processesProblem(config) ??
    problemText('events.', eventsProblem(config)) ??
    problemText('webhook', webhookProblems(webhook, { events, storages: virtualStorage })[0])
  );
}

function virtualStorageProblem(config: PraefectConfig): string | undefined {
  const names = new Set<string>();
  for (const { name, node: nodes, defaultReplicationFactor: factor } of config.virtualStorage) {
    const inStorage = `virtual storage ${quote(name)}`;
    if (name === '') return 'virtual storages must have a name';
    if (names.has(name)) return `${inStorage}: virtual storages must have unique names`;
    names.add(name);
    if (nodes.length === 0) return `${inStorage}: no primary gitaly backends configured`;
    if (nodes.some(({ storage }) => storage === ''))
      return `${inStorage}: all gitaly nodes must have a storage`;
    if (nodes.some(({ address }) => address === ''))
      return `${inStorage}: all gitaly nodes must have an address`;
    const wrong = nodes.map(nodeProblem).find((problem) => problem !== undefined);
    if (wrong !== undefined) return `${inStorage}: ${wrong}`;
    if (new Set(nodes.map(({ storage }) => storage)).size < nodes.length)
      return `${inStorage}: internal gitaly storages are not unique`;
    if (factor > nodes.length)
      return (
        `${inStorage} has a default replication factor (${factor}) which is higher than the number of ` +
        `storages (${nodes.length})`
      );
  }
  return undefined;
}

function nodeProblem({ address, storage }: { address: string; storage: string }): string | undefined {
  try {
    parseAddress(address);
    return undefined;
  } catch (error) {
    return (
      `address of node ${quote(storage)}: ${messageOf(error)}: write tcp://HOST:PORT, tls://HOST:PORT or ` +
      'unix:PATH'
    );
  }
}

function cleanupProblem(config: PraefectConfig): string | undefined {
  const { checkIntervalMs, runIntervalMs } = config.repositoriesCleanup;
  if (runIntervalMs <= 0) return undefined;
  // Gitaly's spelling.
  const isShort = (key: string): string =>
    `repositories_cleanup.${key} is less then 1m0s, which could lead to a database performance problem`;
  if (checkIntervalMs < MINUTE_MS) return isShort('check_interval');
  if (runIntervalMs < MINUTE_MS) return isShort('run_interval');
  return undefined;
}

function yamuxProblem({ yamux }: PraefectConfig): string | undefined {
  const { acceptBacklog, maximumStreamWindowSizeBytes: windowBytes } = yamux;
  if (windowBytes < MIN_WINDOW_BYTES)
    return (
      `yamux.maximum_stream_window_size_bytes must be at least ${MIN_WINDOW_BYTES} but it was ` +
      `${windowBytes}`
    );
  if (acceptBacklog < 1) return `yamux.accept_backlog must be at least 1 but it was ${acceptBacklog}`;
  return undefined;
}

function problemText(table: string, problem: ConfigProblem | undefined): string | undefined {
  return problem && `${table}${problem.key.join('.')}: ${problem.message}`;
}

function listenProblem({ listenAddr, tls, tlsListenAddr }: PraefectConfig): string | undefined {
  const withoutScheme = (address: string): string => address.replace(/^\w+:\/\//, '');
  for (const [key, address] of Object.entries({ listen_addr: listenAddr, tls_listen_addr: tlsListenAddr })) {
    const problem = address && addressProblem(withoutScheme(address));
    if (problem) return `${key}: listen tcp: ${problem}: write HOST:PORT`;
  }
  if (!tlsListenAddr) return undefined;
  if (listenAddr && withoutScheme(listenAddr) === withoutScheme(tlsListenAddr))
    return `same address can't be used for different schemas ${quote(withoutScheme(tlsListenAddr))}`;
  const { certificatePath = '', key, keyPath = '' } = tls;
  const pair = keyPairProblem(certificatePath, key === undefined ? { path: keyPath } : { pem: key });
  const advice = certificatePath === '' ? ': set certificate_path and key_path of [tls]' : '';
  return pair && `error reading certificate and key paths: ${pair}${advice}`;
}

function processesProblem({ workers }: PraefectConfig): string | undefined {
  const problem = workersProblem(workers);
  return problem && `workers.max: ${problem}`;
}

/** Returns the first problem of `[events]`, with keys of the table. */
export function eventsProblem({ events, failover }: PraefectConfig): ConfigProblem | undefined {
  const { enabled, maxAgeMs, maxEvents } = events;
  if (!enabled) return undefined;
  if (failover.electionStrategy !== 'per_repository')
    return { key: ['enabled'], message: 'needs failover.election_strategy = "per_repository"' };
  if (maxEvents < MIN_EVENTS)
    return { key: ['max_events'], message: `must be at least ${MIN_EVENTS}: ${maxEvents}` };
  if (maxAgeMs <= 0) return { key: ['max_age'], message: 'must be longer than 0s' };
  return undefined;
}

/** Returns the problem of thresholds of which only some are set. */
function thresholdProblem({ failover }: PraefectConfig): string | undefined {
  const {
    errorThresholdWindowMs: windowMs,
    readErrorThresholdCount: reads,
    writeErrorThresholdCount: writes,
  } = failover;
  if (!failover.enabled || (windowMs === 0 && reads === 0 && writes === 0)) return undefined;
  if (windowMs === 0) return 'threshold window not set';
  if (writes === 0) return 'write error threshold not set';
  return reads === 0 ? 'read error threshold not set' : undefined;
}
