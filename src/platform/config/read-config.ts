import { isAbsolute, join, normalize, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { messageOf } from '#base/gitaly-error';
import { jsonKind } from '#base/go/encoding/json';
import type { Secret } from '#base/secret';
import { generatedConfig } from './config-command.ts';
import { DecodeError, decode, type RawTable, type UnknownKey } from './decode.ts';
import { goType, structField } from './go-names.ts';
import { overlay } from './overlay.ts';
import { PRESSURE_DEFAULTS } from './schema/limits.ts';
import { type ConfigValues, schema } from './schema/schema.ts';
import { readToken } from './token-file.ts';
import { type KeyPath, type Position, positionOf } from './toml-position.ts';

/**
 * A decoded configuration: typed, with defaults, before the checks that need the file system or
 * other keys.
 */
export interface ReadConfig {
  /** Text of the file; empty if the configuration was given as an object. */
  readonly document: string;
  /** The document overridden by the output of `config_command`, under the schema's names. */
  readonly raw: RawTable;
  readonly values: ConfigValues;
  readonly unknown: readonly UnknownKey[];
  /** Token read from `auth.token_file`. */
  readonly tokenFromFile: Secret | undefined;
}

/**
 * The configuration could not be read. The message is Gitaly's, without the prefix with the file's
 * path.
 */
export class ReadConfigError extends Error {
  override readonly name = 'ReadConfigError';
  /**
   * Position of the error and the decoder's text, for errors that `gitaly configuration validate`
   * prints as JSON.
   */
  readonly decoder: { readonly position: Position; readonly text: string } | undefined;
  readonly problem: { readonly path: KeyPath; readonly read: unknown } | undefined;

  constructor(
    message: string,
    details: { decoder?: ReadConfigError['decoder']; problem?: ReadConfigError['problem'] } = {},
  ) {
    super(message);
    this.decoder = details.decoder;
    this.problem = details.problem;
  }
}

/**
 * Reads a TOML document: decodes it, overrides it with the output of `config_command`, reads
 * `auth.token_file`, fills in defaults.
 *
 * @throws {ReadConfigError}
 */
export async function readConfig(document: string): Promise<ReadConfig> {
  const fromFile = parseToml(document);
  const first = decodeToml(document, fromFile);
  const command = first.values.configCommand;
  if (command === undefined) return complete(document, fromFile, first.unknown);
  return complete(document, overlay(schema, fromFile, await runConfigCommand(command)), first.unknown);
}

/**
 * Reads an object with the keys of the file, as {@link readConfig} does. Whole numbers may be plain
 * numbers.
 */
export function readConfigObject(given: RawTable): ReadConfig {
  const raw = overlay(schema, {}, given);
  return complete('', raw, decodeToml('', raw).unknown);
}

function complete(document: string, raw: RawTable, unknown: readonly UnknownKey[]): ReadConfig {
  const { values } = decodeToml(document, raw);
  const tokenFromFile = values.auth.tokenFile === undefined ? undefined : tokenFrom(values.auth.tokenFile);
  return { document, raw, values: sanitize(values), unknown, tokenFromFile };
}

function parseToml(document: string): RawTable {
  try {
    return parse(document, { integersAsBigInt: true });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw syntaxError(error);
  }
}

/** Returns Gitaly's text for frequent mistakes, otherwise the parser's own. */
function syntaxError(error: TomlError): ReadConfigError {
  const said = /Invalid TOML document: (.*)/.exec(error.message)?.[1] ?? error.message;
  let text = `toml: ${said}`;
  let position = { line: error.line, column: error.column };
  if (said === 'unfinished array') {
    text = 'toml: expected character ] but the document ended here';
    position = { line: 1, column: 1 };
  } else if (said === 'invalid value') text = 'toml: incomplete number';
  return new ReadConfigError(`load toml: ${text}`, { decoder: { position, text } });
}

function decodeToml(document: string, raw: RawTable) {
  try {
    return decode(schema, raw);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const position = positionOf(document, error.path) ?? { line: 1, column: 1 };
    throw new ReadConfigError(`load toml: ${error.message}`, {
      ...(error.positioned && { decoder: { position, text: error.message } }),
      problem: { path: error.path, read: error.read },
    });
  }
}

async function runConfigCommand(command: string): Promise<RawTable> {
  const raw = await generatedConfig(command).catch((error: unknown) => {
    throw new ReadConfigError(messageOf(error));
  });
  try {
    decode(schema, overlay(schema, {}, raw));
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const text =
      `json: cannot unmarshal ${jsonKind(error.read)} into Go struct field ` +
      `${structField(error.path)} of type ${goType(error.path)}`;
    throw new ReadConfigError(`unmarshalling generated config: ${text}`, {
      problem: { path: error.path, read: error.read },
    });
  }
  return raw;
}

function tokenFrom(path: string): Secret {
  try {
    return readToken(path);
  } catch (error) {
    throw new ReadConfigError(messageOf(error), {
      problem: { path: ['auth', 'token_file'], read: path },
    });
  }
}

/**
 * Sets defaults that depend on other keys, replaces zeros that represent defaults, and makes paths
 * absolute.
 */
function sanitize(values: ConfigValues): ConfigValues {
  const firstStorage = values.storage[0]?.path;
  const { gitlab, gitlabShell, cgroups, packObjectsLimiting: packs } = values;
  const usesGitlab =
    gitlab.url !== undefined || gitlab.secret !== undefined || gitlab.secretFile !== undefined;
  const secretFile =
    usesGitlab && gitlab.secret === undefined
      ? join(gitlabShell.dir ?? '', '.gitlab_shell_secret')
      : undefined;
  return {
    ...values,
    binDir: values.binDir && resolve(values.binDir),
    runtimeDir: values.runtimeDir && resolve(values.runtimeDir),
    gracefulRestartTimeoutMs: values.gracefulRestartTimeoutMs || 60_000,
    git: {
      ...values.git,
      catfileCacheSize: values.git.catfileCacheSize > 0 ? values.git.catfileCacheSize : 100,
    },
    storage: values.storage.map((storage) => ({ ...storage, path: cleanPath(storage.path) })),
    gitlab: {
      ...gitlab,
      secretFile: gitlab.secretFile ?? secretFile,
      httpSettings: { ...gitlab.httpSettings, readTimeout: gitlab.httpSettings.readTimeout || 300 },
    },
    hooks: {
      ...values.hooks,
      customHooksDir: values.hooks.customHooksDir ?? (gitlabShell.dir && join(gitlabShell.dir, 'hooks')),
    },
    concurrency: values.concurrency.map((limit) => ({ ...limit, maxQueueSize: limit.maxQueueSize || 500 })),
    packObjectsLimiting: { ...packs, maxQueueSize: packs.maxQueueSize || packs.maxQueueLength || 200 },
    packObjectsCache: cacheDefaults(values.packObjectsCache, firstStorage, 'PackObjectsCache'),
    archiveCache: cacheDefaults(values.archiveCache, firstStorage, 'ArchiveCache'),
    timeout: {
      uploadPackNegotiationMs: values.timeout.uploadPackNegotiationMs || 600_000,
      uploadArchiveNegotiationMs: values.timeout.uploadArchiveNegotiationMs || 60_000,
    },
    adaptiveLimiting: {
      ...values.adaptiveLimiting,
      psiPressure: {
        memory: pressureDefaults(values, 'memory'),
        io: pressureDefaults(values, 'io'),
        cpu: pressureDefaults(values, 'cpu'),
      },
    },
    cgroups: cgroupsDefaults(cgroups),
    dailyMaintenance: maintenanceDefaults(values),
    raft: {
      ...values.raft,
      snapshotDir:
        values.raft.snapshotDir ||
        (firstStorage === undefined ? '' : join(firstStorage, '+gitaly/raft/snapshots')),
    },
  };
}

/** Fills in the limits of repositories from the keys of older versions. */
function cgroupsDefaults(cgroups: ConfigValues['cgroups']): ConfigValues['cgroups'] {
  const oldCgroups = cgroups.repositories.count === 0;
  const repositoryGroups = {
    ...cgroups.repositories,
    count: cgroups.repositories.count || cgroups.count,
    memoryBytes:
      cgroups.repositories.memoryBytes || (oldCgroups && cgroups.memory.enabled ? cgroups.memory.limit : 0),
    cpuShares: cgroups.repositories.cpuShares || (oldCgroups && cgroups.cpu.enabled ? cgroups.cpu.shares : 0),
  };
  return {
    ...cgroups,
    repositories: {
      ...repositoryGroups,
      maxCgroupsPerRepo: repositoryGroups.maxCgroupsPerRepo || (repositoryGroups.count > 0 ? 1 : 0),
    },
  };
}

/** Without any key, maintenance runs at noon for ten minutes, on all storages. */
function maintenanceDefaults({ dailyMaintenance, storage }: ConfigValues): ConfigValues['dailyMaintenance'] {
  const noMaintenance =
    !dailyMaintenance.disabled &&
    dailyMaintenance.storages.length === 0 &&
    dailyMaintenance.startHour + dailyMaintenance.startMinute + dailyMaintenance.durationMs === 0;
  if (!noMaintenance) return dailyMaintenance;
  const storages = storage.map(({ name }) => name);
  return { ...dailyMaintenance, startHour: 12, durationMs: 600_000, storages };
}

type Pressures = ConfigValues['adaptiveLimiting']['psiPressure'];

function pressureDefaults(
  { adaptiveLimiting: { psiPressure } }: ConfigValues,
  resource: keyof Pressures,
): Pressures[keyof Pressures] {
  const [given, defaults] = [psiPressure[resource], PRESSURE_DEFAULTS[resource]];
  const positive = (value: number, otherwise: number): number => (value > 0 ? value : otherwise);
  return {
    ...given,
    warningThreshold: positive(given.warningThreshold, defaults.warning),
    backoffThreshold: positive(given.backoffThreshold, defaults.backoff),
    criticalThreshold: positive(given.criticalThreshold, defaults.critical),
    sustainDurationSeconds: positive(given.sustainDurationSeconds, 30),
    fastFallRatio: positive(given.fastFallRatio, 0.85),
  };
}

function cacheDefaults<T extends ConfigValues['packObjectsCache']>(
  cache: T,
  firstStorage: string | undefined,
  name: string,
): T {
  if (!cache.enabled) return cache;
  const fallback = firstStorage === undefined ? undefined : join(firstStorage, '+gitaly', name);
  return { ...cache, maxAgeMs: cache.maxAgeMs || 300_000, dir: cache.dir ?? fallback };
}

/**
 * Removes `.`, `..`, doubled and trailing slashes. An empty path becomes the current directory, as
 * in Gitaly.
 */
export function cleanPath(path: string): string {
  const clean = normalize(path);
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

/** Resolves a path relative to the directory in which the process was started. */
export function absolutePath(path: string): string {
  return isAbsolute(path) ? path : resolve(path);
}
