import { existsSync, readdirSync } from 'node:fs';
import { mkdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerBuild } from './server-build.ts';

/** Files of a test environment. */
export interface EnvironmentFiles {
  readonly directory: string;
  readonly programs: string;
  readonly config: string;
  readonly socket: string;
  readonly log: string;
  readonly runtime: string;
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
const PRIVATE_FILE = 0o600;

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
  const length = Buffer.byteLength(socket);
  if (length > MAX_SOCKET_PATH_BYTES) {
    throw new Error(
      `${socket} has ${length} bytes; the limit for a socket is ${MAX_SOCKET_PATH_BYTES}. Choose a ` +
        'directory with a shorter path',
    );
  }
  const files = {
    directory,
    programs: join(directory, 'bin'),
    config: join(directory, 'config.toml'),
    socket,
    log: join(directory, 'log/gitaly-test.log'),
    runtime: join(directory, 'run'),
    storages: storages.map((name) => ({ name, path: join(directory, 'repositories', name) })),
  };
  const folders = ['bin', 'log', 'run', ...storages.map((name) => join('repositories', name))];
  for (const folder of folders) await mkdir(join(directory, folder), { recursive: true });
  return files;
}

/** Links the programs of a build, and writes the configuration for it. */
export async function writeFiles(
  files: EnvironmentFiles,
  build: ServerBuild,
  settings: EnvironmentSettings,
): Promise<void> {
  await rm(files.programs, { recursive: true, force: true });
  await mkdir(files.programs);
  for (const name of readdirSync(build.programs))
    await symlink(join(build.programs, name), join(files.programs, name));
  await rm(files.socket, { force: true });
  const draft = `${files.config}.draft`;
  await writeFile(draft, configText(files, build, settings), { mode: PRIVATE_FILE });
  await rename(draft, files.config);
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
  return `# Written by gitaly-ts test-env at each start.
socket_path = ${quoted(files.socket)}
listen_addr = ${quoted(tcp)}
runtime_dir = ${quoted(files.runtime)}
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

/** Formats a TOML string; JSON's escapes are a part of TOML's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Reports whether the environment was removed or replaced while it runs. */
export function isGone(files: EnvironmentFiles): boolean {
  return !existsSync(files.config);
}
