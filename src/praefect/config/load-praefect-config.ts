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
  for (const { name, node: nodes } of config.virtualStorage) {
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
  }
  return undefined;
}

/** Reports whether everything is kept in memory, so that no database is needed. */
export function isInMemory(config: PraefectConfig): boolean {
  const { enabled, electionStrategy } = config.failover;
  const understood = config.iUnderstandMyElectionStrategyIsUnsupportedAndWillBeRemovedWithoutWarning;
  const isLocal = !enabled || (electionStrategy === 'local' && understood);
  return config.memoryQueueEnabled && isLocal;
}
