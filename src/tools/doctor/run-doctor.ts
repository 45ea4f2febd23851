import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemErrorText } from '#base/go/system-error';
import { checkLimitedMethods } from '#gitaly/limits/unknown-methods';
import { ConfigError } from '#platform/config/config-error';
import { type GitalyConfig, loadConfig } from '#platform/config/load-config';
import { misspeltVariables } from '#platform/process/own-variables';
import { checkAddresses, checkSocket } from './check-addresses.ts';
import { checkBuckets } from './check-buckets.ts';
import { checkCgroups } from './check-cgroups.ts';
import { checkHooks } from './check-hooks.ts';
import { checkLeftovers } from './check-leftovers.ts';
import { checkMachine } from './check-machine.ts';
import { checkOwners } from './check-owners.ts';
import { checkSecrets } from './check-secrets.ts';
import { checkStorage } from './check-storage.ts';
import { type Finding, failure, NOT_ALLOWED, ok, warning } from './finding.ts';
import { roundTrip } from './round-trip.ts';

/**
 * Checks everything that a server needs and yields the findings in order of dependence.
 *
 * @param target a configuration file; a directory that contains one (`config.toml`) or that
 *   `gitaly-ts up` uses; `undefined` for only the machine.
 */
export async function* diagnose(target: string | undefined): AsyncGenerator<Finding, void, undefined> {
  const path = target === undefined ? undefined : configPathOf(target);
  const config = path === undefined ? undefined : await readConfig(path);
  const gitBinary = process.env.GITALY_TESTING_GIT_BINARY || config?.config?.git.binPath || 'git';
  yield* checkMachine(gitBinary);
  yield* checkVariables();
  if (config !== undefined && path !== undefined) {
    yield* config.findings;
    if (config.config !== undefined) yield* checkConfigured(config.config, path);
  } else if (target !== undefined) yield* checkUpDirectory(target);
  yield* checkLeftovers(config?.config?.runtimeDir);
  yield await roundTrip(gitBinary);
}

/** Warns of misspelt variables of the environment. */
export function* checkVariables(): Generator<Finding> {
  for (const message of misspeltVariables())
    yield warning('environment', message, 'Correct the name, or remove the variable.');
}

/** Tokens of GitLab and of clients are valid for 30 s. */
const CLOCK = { warningMs: 5000, errorMs: 30_000 };

/** Rates the difference between GitLab's clock and ours; `undefined` if it is not known. */
export function clockFinding(differenceMs: number | undefined): Finding | undefined {
  if (differenceMs === undefined) return undefined;
  const text = `GitLab's clock differs by ${Math.abs(differenceMs / 1000).toFixed(0)} s`;
  const fix = 'Synchronize both clocks with NTP: tokens are valid for 30 s.';
  const size = Math.abs(differenceMs);
  if (size >= CLOCK.errorMs) return failure('clock', text, fix);
  return size >= CLOCK.warningMs ? warning('clock', text, fix) : ok('clock', "agrees with GitLab's");
}

async function* checkConfigured(
  config: GitalyConfig,
  path: string,
): AsyncGenerator<Finding, void, undefined> {
  for (const storage of config.storage) {
    yield* checkStorage(storage);
    if (existsSync(storage.path)) yield* await checkOwners(`storage ${storage.name}`, storage.path);
  }
  yield* checkSecrets(config, path);
  yield* checkHooks(config);
  yield* checkCgroups(config);
  yield* checkBuckets(config);
  yield* checkAddresses(config);
}

/** Returns the path of the configuration file; `undefined` for a directory without one. */
function configPathOf(target: string): string | undefined {
  const isDirectory = existsSync(target) && statSync(target).isDirectory();
  if (!isDirectory) return target;
  const inside = join(target, 'config.toml');
  return existsSync(inside) ? inside : undefined;
}

/** Reports whether `gitaly-ts up` has run on a directory. Before that, it may have people. */
export function isUpDirectory(directory: string): boolean {
  return [CLUSTER, REPOSITORIES].some((name) => existsSync(join(directory, name)));
}

export async function* checkUpDirectory(directory: string): AsyncGenerator<Finding, void, undefined> {
  let names: string[];
  try {
    names = existsSync(directory) ? readdirSync(directory) : [];
  } catch (error) {
    yield failure('directory', `${directory}: ${systemErrorText(error)}`, NOT_ALLOWED);
    return;
  }
  const storages = names.includes(CLUSTER)
    ? names.filter((name) => NODE.test(name)).map((name) => ({ name, path: join(directory, name) }))
    : names.includes(REPOSITORIES)
      ? [{ name: 'default', path: join(directory, REPOSITORIES) }]
      : [];
  if (storages.length === 0) {
    const fix =
      'Name a configuration file, or create one with "gitaly-ts init"; "gitaly-ts up" creates its directory.';
    yield failure('directory', `${directory} contains neither config.toml nor repositories`, fix);
    return;
  }
  for (const storage of storages) yield* checkStorage(storage);
  yield* await checkOwners('directory', directory);
  const socket = join(directory, 'gitaly.socket');
  if (existsSync(socket)) yield await checkSocket(socket, undefined);
}

/**
 * Praefect's configuration in a directory of "gitaly-ts up --cluster", and the storages of nodes.
 */
const CLUSTER = 'praefect.toml';
const REPOSITORIES = 'repositories';
const NODE = /^gitaly-\d$/;

const NO_FILE = 'Name an existing file, or create one with "gitaly-ts init".';

function fixOf({ explanation }: ConfigError): string {
  const fix = explanation
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join('; ')
    .replace(/ +/g, ' ');
  return fix || 'Correct the file; config.toml.example describes every key.';
}

async function readConfig(path: string): Promise<{ config?: GitalyConfig; findings: Finding[] }> {
  try {
    const config = await loadConfig(path);
    const limits = checkLimitedMethods(config, path);
    const fix = 'See config.toml.example for all keys.';
    const warnings = config.warnings.map(({ message, fields }) =>
      warning(
        'configuration',
        [message, fields.line && `(line ${fields.line})`].filter(Boolean).join(' '),
        fix,
      ),
    );
    const unused = limits.map(({ message }) => warning('configuration', message, fix));
    return { config, findings: [ok('configuration', `${path} is valid`), ...warnings, ...unused] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { findings: [failure('configuration', error.message, existsSync(path) ? fixOf(error) : NO_FILE)] };
  }
}
