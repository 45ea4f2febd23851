import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { messageOf } from '#base/gitaly-error';
import { systemErrorText } from '#base/go/system-error';
import type { Secret } from '#base/secret';
import { keyPathOf } from '#platform/config/checks';
import { generatedConfig } from '#platform/config/config-command';
import { ConfigError, type ConfigWarning } from '#platform/config/config-error';
import { DecodeError, decode, type RawTable, showUnknownKey } from '#platform/config/decode';
import { type ConfigSource, explainKey, rawValue } from '#platform/config/explain-key';
import { overlay } from '#platform/config/overlay';
import { readToken } from '#platform/config/token-file';
import { showPath } from '#platform/config/toml-position';
import { uselessKeys } from '#platform/config/without-effect';
import { startProblem } from './check-praefect-config.ts';
import { type PraefectConfig, praefectSchema } from './schema.ts';
import { configProblems } from './validate-praefect-config.ts';

export interface LoadedPraefectConfig {
  readonly config: PraefectConfig;
  /** Problems that do not prevent the start. Log each once, at level warn. */
  readonly warnings: readonly ConfigWarning[];
}

type Source = Omit<ConfigSource, 'fields'>;

/**
 * Reads and checks a `config.praefect.toml`.
 *
 * @throws {ConfigError}
 */
export async function loadPraefectConfig(path: string): Promise<LoadedPraefectConfig> {
  let document = '';
  try {
    document = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new Error(`open ${path}: ${systemErrorText(error)}`, { cause: error });
    });
    let raw: RawTable = parse(document, { integersAsBigInt: true });
    const { configCommand } = decode(praefectSchema, raw).values;
    if (configCommand !== undefined) raw = overlay(praefectSchema, raw, await generatedConfig(configCommand));
    return checkRead(raw, { path, document });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const explanation =
      error instanceof DecodeError ? explainKey({ path, document, fields: praefectSchema }, error) : '';
    throw new ConfigError(`error reading config file: ${messageOf(error)}`, explanation, {
      cause: error,
    });
  }
}

/**
 * Checks a configuration that a program gives. Whole numbers are bigint.
 *
 * @throws {Error} `validating config: …`, or for a value of the wrong type; for a key that does not
 *   exist, with the nearest name.
 */
export function praefectConfigFrom(raw: RawTable): LoadedPraefectConfig {
  const [unknown] = decode(praefectSchema, raw).unknown;
  if (unknown !== undefined) throw new Error(`unknown configuration key ${showUnknownKey(unknown)}`);
  return checkRead(raw, { path: '(given by the program)', document: '' });
}

function checkRead(raw: RawTable, source: Source): LoadedPraefectConfig {
  const { unknown, values: given } = decode(praefectSchema, raw);
  const { tokenFile } = given.auth;
  const token = tokenFile === undefined ? given.auth.token : tokenFrom(tokenFile, source);
  const problem = startProblem(given);
  if (problem !== undefined) {
    const explanation = explainProblems(given, raw, source);
    throw new ConfigError(`validating config: ${problem}`, explanation);
  }
  const useless = [...uselessKeys(praefectSchema, raw, unknown)].map(({ message, path }) => ({
    message,
    fields: { key: showPath(path) },
  }));
  const config = sanitize({ ...given, auth: { ...given.auth, token } });
  return { config, warnings: [...useless, ...sharedAddresses(config)] };
}

function tokenFrom(path: string, source: Source): Secret {
  try {
    return readToken(path);
  } catch (error) {
    const problem = { path: ['auth', 'token_file'], read: path };
    const explanation = explainKey({ ...source, fields: praefectSchema }, problem);
    throw new ConfigError(`error reading config file: ${messageOf(error)}`, explanation, {
      cause: error,
    });
  }
}

function explainProblems(config: PraefectConfig, raw: RawTable, source: Source): string {
  const blocks = configProblems(config).map(({ key: [first = 'listen_addr', ...rest] }) => {
    const path = keyPathOf([first, ...rest]);
    return explainKey({ ...source, fields: praefectSchema }, { path, read: rawValue(raw, path) });
  });
  return [...new Set(blocks)].join('\n');
}

/** Replaces zeros that represent defaults, and removes the scheme of the socket. */
function sanitize(config: PraefectConfig): PraefectConfig {
  const { failover, gracefulStopTimeoutMs, socketPath } = config;
  return {
    ...config,
    socketPath: socketPath?.replace(/^unix:(\/\/)?/, ''),
    gracefulStopTimeoutMs: gracefulStopTimeoutMs || 60_000,
    failover: {
      ...failover,
      bootstrapIntervalMs: failover.bootstrapIntervalMs || 1000,
      monitorIntervalMs: failover.monitorIntervalMs || 3000,
    },
  };
}

/** Yields a warning for each node at the address of another one of its virtual storage. */
function* sharedAddresses({ virtualStorage }: PraefectConfig): Generator<ConfigWarning> {
  let isShared = false;
  for (const { node: nodes } of virtualStorage) {
    const addresses = nodes.map(({ address }) => address);
    for (const [index, address] of addresses.entries()) {
      if (addresses.indexOf(address) === index) continue;
      isShared = true;
      yield {
        message: 'more than one backend node is hosted at same address',
        fields: { conflicting_address: address },
      };
    }
  }
  if (isShared) yield { message: 'your Praefect configuration may not offer actual redundancy', fields: {} };
}
