import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorText } from '#base/go/system-error';
import { generatedConfig } from '#platform/config/config-command';
import { decode, type RawTable, showUnknownKey } from '#platform/config/decode';
import { overlay } from '#platform/config/overlay';
import { readToken } from '#platform/config/token-file';
import { showPath } from '#platform/config/toml-position';
import { keysWithoutEffect } from '#platform/config/without-effect';
import { startProblem } from './check-praefect-config.ts';
import { type PraefectConfig, praefectSchema } from './schema.ts';

export interface LoadedPraefectConfig {
  readonly config: PraefectConfig;
  /** Problems that do not prevent the start. Log each once, at level warn. */
  readonly warnings: readonly PraefectConfigWarning[];
}

export interface PraefectConfigWarning {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Reads and checks a `config.praefect.toml`.
 *
 * @throws {Error} `error reading config file: …`, `validating config: …`
 */
export async function loadPraefectConfig(path: string): Promise<LoadedPraefectConfig> {
  let raw: RawTable;
  try {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new Error(`open ${path}: ${systemErrorText(error)}`, { cause: error });
    });
    raw = parse(text, { integersAsBigInt: true });
    const { configCommand } = decode(praefectSchema, raw).values;
    if (typeof configCommand === 'string')
      raw = overlay(praefectSchema, raw, await generatedConfig(configCommand));
    return checkRead(raw);
  } catch (error) {
    if (error instanceof InvalidConfigError) throw error;
    throw new Error(`error reading config file: ${messageOf(error)}`, { cause: error });
  }
}

/** The configuration could be read, and has a wrong value. */
class InvalidConfigError extends Error {
  override readonly name = 'InvalidConfigError';
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
  return checkRead(raw);
}

function checkRead(raw: RawTable): LoadedPraefectConfig {
  const { values, unknown } = decode(praefectSchema, raw);
  // The schema determines the result of decode.
  const given = values as unknown as PraefectConfig;
  const token = given.auth.tokenFile === undefined ? given.auth.token : readToken(given.auth.tokenFile);
  const problem = startProblem(given);
  if (problem !== undefined) throw new InvalidConfigError(`validating config: ${problem}`);
  const withoutEffect = [...keysWithoutEffect(praefectSchema, raw)].map(({ path, reason }) => ({
    message: `configuration key ${quote(showPath(path))} has no effect: ${reason}`,
    fields: { key: showPath(path) },
  }));
  const unknownKeys = unknown.map((key) => ({
    message: `unknown configuration key ${showUnknownKey(key)}`,
    fields: { key: showPath(key.path) },
  }));
  const config = sanitize({ ...given, auth: { ...given.auth, token } });
  return { config, warnings: [...unknownKeys, ...withoutEffect, ...sharedAddresses(config)] };
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
function* sharedAddresses({ virtualStorage }: PraefectConfig): Generator<PraefectConfigWarning> {
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
