import { existsSync, readdirSync } from 'node:fs';
import { mkdir, realpath, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '#base/files/replace-file';
import type { ServerBuild } from './server-build.ts';

export interface EnvironmentFiles {
  readonly directory: string;
  readonly programs: string;
  readonly config: string;
  readonly socket: string;
  readonly log: string;
  /** `undefined` where its sockets would have too long names: the server then takes a temporary one. */
  readonly runtime: string | undefined;
  /** Praefect's configuration, socket and log. */
  readonly praefect: { readonly config: string; readonly socket: string; readonly log: string };
  readonly storages: readonly { readonly name: string; readonly path: string }[];
}

export interface EnvironmentSettings {
  readonly storages: readonly string[];
  readonly token: string;
  /** `host:port` of the TCP listener. */
  readonly tcp: string;
}

/** The kernel's limit minus the final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
/** The longest name of a socket below a server's `runtime_dir`. */
const INTERNAL_SOCKET = 'gitaly-4194304/sock.d/tsocket';

/**
 * Creates the directory with all folders that a server needs, or completes it. Repositories stay.
 *
 * @throws {Error} when the path is too long for a socket
 */
export async function prepareDirectory(
  given: string,
  storages: readonly string[],
): Promise<EnvironmentFiles> {
  await mkdir(given, { recursive: true });
  const directory = await realpath(given);
  const socket = join(directory, 'gitaly.socket');
  const praefectSocket = join(directory, 'praefect.socket');
  if (!fitsSocket(praefectSocket)) {
    const length = Buffer.byteLength(praefectSocket);
    throw new Error(
      `${praefectSocket} has ${length} bytes; the limit for a socket is ${MAX_SOCKET_PATH_BYTES}. Choose a ` +
        'directory with a shorter path',
    );
  }
  const runtime = join(directory, 'run');
  const files = {
    directory,
    programs: join(directory, 'bin'),
    config: join(directory, 'config.toml'),
    socket,
    log: join(directory, 'log/gitaly-test.log'),
    runtime: fitsSocket(join(runtime, INTERNAL_SOCKET)) ? runtime : undefined,
    praefect: {
      config: join(directory, 'praefect.config.toml'),
      socket: praefectSocket,
      log: join(directory, 'log/praefect-test.log'),
    },
    storages: storages.map((name) => ({ name, path: join(directory, 'repositories', name) })),
  };
  const folders = ['bin', 'log', 'run', ...storages.map((name) => join('repositories', name))];
  for (const folder of folders) await mkdir(join(directory, folder), { recursive: true });
  return files;
}

function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES;
}

/** Links the programs of a build, and writes the configurations for it. */
export async function writeFiles(
  files: EnvironmentFiles,
  build: ServerBuild,
  settings: EnvironmentSettings,
): Promise<void> {
  await rm(files.programs, { recursive: true, force: true });
  await mkdir(files.programs);
  for (const name of readdirSync(build.programs))
    await symlink(join(build.programs, name), join(files.programs, name));
  for (const socket of [files.socket, files.praefect.socket]) await rm(socket, { force: true });
  await replaceFile(files.praefect.config, praefectText(files, settings), { durable: false });
  await replaceFile(files.config, configText(files, build, settings), { durable: false });
}

function configText(
  files: EnvironmentFiles,
  build: ServerBuild,
  { token, tcp }: EnvironmentSettings,
): string {
  const bundlesGit = readdirSync(build.programs).some((name) => name.startsWith('gitaly-git'));
  const git = bundlesGit ? '\n[git]\nuse_bundled_binaries = true\n' : '';
  const storages = files.storages
    .map(({ name, path }) => `\n[[storage]]\nname = ${quoted(name)}\npath = ${quoted(path)}\n`)
    .join('');
  const runtime = files.runtime === undefined ? '' : `runtime_dir = ${quoted(files.runtime)}\n`;
  return `# Written by gitaly-ts test-env at each start.
socket_path = ${quoted(files.socket)}
listen_addr = ${quoted(tcp)}
${runtime}\
${build.isOurs ? '' : `bin_dir = ${quoted(files.programs)}\n`}
[auth]
token = ${quoted(token)}

[logging]
format = "json"
level = "info"

[daily_maintenance]
disabled = true
${build.isOurs ? '\n[housekeeping]\nautomatic = false\n' : ''}${git}${storages}`;
}

/** A Praefect without a database, in front of the one server; each storage is a virtual storage. */
function praefectText(files: EnvironmentFiles, { token }: EnvironmentSettings): string {
  const storages = files.storages.map(
    ({ name }) => `
[[virtual_storage]]
name = ${quoted(name)}

[[virtual_storage.node]]
storage = ${quoted(name)}
address = ${quoted(`unix:${files.socket}`)}
token = ${quoted(token)}
`,
  );
  return `# Written by gitaly-ts test-env at each start.
socket_path = ${quoted(files.praefect.socket)}
memory_queue_enabled = true
i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning = true

[failover]
election_strategy = "local"
bootstrap_interval = "10ms"

[auth]
token = ${quoted(token)}

[logging]
format = "json"
level = "info"
${storages.join('')}`;
}

/** Formats a TOML string; JSON's escapes are a part of TOML's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Reports whether the environment was removed or replaced while it runs. */
export function isGone(files: EnvironmentFiles): boolean {
  return !existsSync(files.config);
}
