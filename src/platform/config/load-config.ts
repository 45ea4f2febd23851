import { readFile } from 'node:fs/promises';
import { quote } from '#base/go/quote';
import { systemErrorText } from '#base/go/system-error';
import { ConfigError, type ConfigWarning } from './config-error.ts';
import { type RawTable, showUnknownKey } from './decode.ts';
import { type ConfigSource, explainKey, explainSyntax, rawValue } from './explain-key.ts';
import { fatalProblem } from './fatal-problems.ts';
import {
  absolutePath,
  type ReadConfig,
  ReadConfigError,
  readConfig,
  readConfigObject,
} from './read-config.ts';
import { type ConfigValues, schema } from './schema/schema.ts';
import { positionOf, showPath } from './toml-position.ts';
import { validateConfig } from './validate-config.ts';
import { uselessKeys } from './without-effect.ts';

/**
 * A checked configuration: names in camel case, durations in milliseconds (`…Ms`), absolute storage
 * paths.
 */
export interface GitalyConfig extends ConfigValues {
  /** Problems that do not prevent the start. Log each once, at level warn. */
  readonly warnings: readonly ConfigWarning[];
}

/**
 * Reads and checks a configuration file.
 *
 * @throws {ConfigError} with the first problem that prevents the start.
 */
export async function loadConfig(path: string): Promise<GitalyConfig> {
  const inFile = `load config: config_path ${quote(path)}: `;
  let document: string;
  try {
    document = await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${inFile}open ${path}: ${systemErrorText(error)}`, '');
  }
  let read: ReadConfig;
  try {
    read = await readConfig(document);
  } catch (error) {
    if (!(error instanceof ReadConfigError)) throw error;
    throw new ConfigError(inFile + error.message, explainUnread({ path, document, fields: schema }, error));
  }
  return check(read, path);
}

/**
 * Returns the configuration that a file with these keys would give, for programs that start a
 * server. Keys are those of the file.
 *
 * @throws {ConfigError} also for a key that does not exist, with the nearest name: the caller may
 *   have no log for warnings.
 */
export function configFrom(keys: RawTable): GitalyConfig {
  const path = '(given by the program)';
  try {
    const read = readConfigObject(keys);
    const [unknown] = read.unknown;
    if (unknown !== undefined)
      throw new ConfigError(`unknown configuration key ${showUnknownKey(unknown)}`, '');
    return check(read, path);
  } catch (error) {
    // Programs print messages only.
    if (error instanceof ConfigError && error.explanation !== '')
      throw new ConfigError(`${error.message}\n${error.explanation}`, error.explanation);
    if (!(error instanceof ReadConfigError)) throw error;
    const explanation = explainUnread({ path, document: '', fields: schema }, error);
    throw new ConfigError(`${error.message}\n${explanation}`, explanation);
  }
}

function check(read: ReadConfig, path: string): GitalyConfig {
  const fatal = fatalProblem(read, process.env);
  if (fatal !== undefined) {
    const inFile = fatal.message.startsWith('configuring logger')
      ? ''
      : `load config: config_path ${quote(path)}: `;
    const source = { path, document: read.document, fields: schema };
    const blocks = fatal.keys.map((key) => explainKey(source, { path: key, read: rawValue(read.raw, key) }));
    const misspelt = read.unknown.filter(({ nearest }) => nearest !== undefined);
    const hints = misspelt.map((key) => `  unknown   ${showUnknownKey(key)}`);
    throw new ConfigError(inFile + fatal.message, [...new Set([...blocks, ...hints])].join('\n'));
  }
  const { values } = read;
  return {
    ...values,
    auth: { ...values.auth, token: read.tokenFromFile ?? values.auth.token },
    gracefulRestartTimeoutMs: Math.max(0, values.gracefulRestartTimeoutMs),
    storage: values.storage.map((storage) => ({ ...storage, path: absolutePath(storage.path) })),
    timeout: {
      uploadPackNegotiationMs: positive(values.timeout.uploadPackNegotiationMs, 600_000),
      uploadArchiveNegotiationMs: positive(values.timeout.uploadArchiveNegotiationMs, 60_000),
    },
    warnings: [...warnings(read, path)],
  };
}

function positive(value: number, otherwise: number): number {
  return value > 0 ? value : otherwise;
}

/** Yields a warning for each key that does not exist, and for each that has no effect. */
export function* keyWarnings(read: ReadConfig, file: string): Generator<ConfigWarning> {
  for (const { message, path } of uselessKeys(schema, read.raw, read.unknown)) {
    const line = positionOf(read.document, path)?.line;
    const fields = {
      config_path: file,
      key: showPath(path),
      ...(line !== undefined && { line: String(line) }),
    };
    yield { message, fields };
  }
}

function* warnings(read: ReadConfig, file: string): Generator<ConfigWarning> {
  yield* keyWarnings(read, file);
  for (const [index, storage] of read.values.storage.entries()) {
    if (storage.path !== '.') continue;
    yield {
      message: 'a storage without a path uses the current directory',
      fields: { config_path: file, key: `storage[${index}].path` },
    };
  }
  const problems = validateConfig(read);
  if (problems.length > 0) {
    yield {
      message:
        'The current configurations will cause Gitaly to fail to start up in future versions. ' +
        `Please run 'gitaly configuration validate < ${file}' and fix the errors that are printed.`,
      fields: { config_path: file },
    };
  }
  for (const { key, message } of problems) {
    yield {
      message: 'questionable configuration value',
      fields: { config_path: file, key: key.join('.').replaceAll('.[', '['), error: message },
    };
  }
}

function explainUnread(source: ConfigSource, { decoder, problem }: ReadConfigError): string {
  if (problem !== undefined) return explainKey(source, problem);
  return decoder === undefined ? '' : explainSyntax(source.path, decoder.position.line);
}
