import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { decode, type RawTable, type UnknownKey } from '#platform/config/decode';
import { type PraefectConfig, praefectSchema } from './schema.ts';

export interface LoadedPraefectConfig {
  readonly config: PraefectConfig;
  /** Keys without an effect here. */
  readonly unknown: readonly UnknownKey[];
}

/**
 * Reads and checks a `config.praefect.toml`.
 *
 * @throws {Error} `error reading config file: …`, `validating config: …`
 */
export async function loadPraefectConfig(path: string): Promise<LoadedPraefectConfig> {
  let raw: RawTable;
  try {
    raw = parse(await readFile(path, 'utf8'), { integersAsBigInt: true });
  } catch (error) {
    throw new Error(`error reading config file: ${messageOf(error)}`, { cause: error });
  }
  return praefectConfigFrom(raw);
}

/** Checks a configuration that was read. Whole numbers are bigint. */
export function praefectConfigFrom(raw: RawTable): LoadedPraefectConfig {
  const { values, unknown } = decode(praefectSchema, raw);
  // The schema determines the result of decode.
  const config = values as unknown as PraefectConfig;
  const problem = problemOf(config);
  if (problem !== undefined) throw new Error(`validating config: ${problem}`);
  return { config, unknown };
}

const MINUTE_MS = 60_000;
const STRATEGIES = ['per_repository', 'sql', 'local'];

function problemOf(config: PraefectConfig): string | undefined {
  if (config.listenAddr === undefined && config.socketPath === undefined)
    return 'no listen address or socket path configured';
  if (config.virtualStorage.length === 0) return 'no virtual storages configured';
  if (config.replication.batchSize < 1)
    return `replication batch size was ${config.replication.batchSize} but must be >=1`;
  const { electionStrategy } = config.failover;
  if (!STRATEGIES.includes(electionStrategy)) return `invalid election strategy: ${quote(electionStrategy)}`;
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
    if (new Set(nodes.map(({ storage }) => storage)).size < nodes.length)
      return `${inStorage}: internal gitaly storages are not unique`;
    if (factor > nodes.length)
      return (
        `${inStorage} has a default replication factor (${factor}) which is higher than the number of ` +
        `storages (${nodes.length})`
      );
  }
  const { checkIntervalMs, runIntervalMs } = config.repositoriesCleanup;
  if (runIntervalMs <= 0) return undefined;
  // Gitaly's spelling.
  const isShort = (key: string): string =>
    `repositories_cleanup.${key} is less then 1m0s, which could lead to a database performance problem`;
  if (checkIntervalMs < MINUTE_MS) return isShort('check_interval');
  if (runIntervalMs < MINUTE_MS) return isShort('run_interval');
  return undefined;
}

/** Reports whether everything is kept in memory, so that no database is needed. */
export function isInMemory(config: PraefectConfig): boolean {
  return config.memoryQueueEnabled && strategyOf(config) === 'local';
}

/** Describes a choice of primaries that does not exist here. */
export function problemOfStrategy(config: PraefectConfig): string | undefined {
  const strategy = strategyOf(config);
  if (strategy === 'sql')
    return 'election_strategy = "sql" is not supported: use "per_repository", its successor';
  if (strategy === 'local' && !config.memoryQueueEnabled)
    return 'election_strategy = "local" needs memory_queue_enabled = true: its state is in memory';
  return undefined;
}

/** The strategy in effect: others than per_repository need a consent. */
function strategyOf(config: PraefectConfig): string {
  const { enabled, electionStrategy } = config.failover;
  if (!enabled) return 'local';
  const isUnderstood = config.iUnderstandMyElectionStrategyIsUnsupportedAndWillBeRemovedWithoutWarning;
  return isUnderstood ? electionStrategy : 'per_repository';
}
