import { randomBytes } from 'node:crypto';
import { realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '#base/files/make-directory';
import { systemErrorCode } from '#base/go/system-error';

/** Created paths. */
export interface InitializedDirectory {
  readonly configPath: string;
  readonly tokenPath: string;
  readonly socketPath: string;
}

/** The directory cannot be used; the message contains a remedy. */
export class InitError extends Error {
  override readonly name = 'InitError';
}

const PRIVATE_DIRECTORY = 0o700;
const PRIVATE_FILE = 0o600;
const TOKEN_BYTES = 32;
/** The kernel's limit minus the final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Prepares a directory for `gitaly serve`: `config.toml`, a random token, and empty directories for
 * repositories and sockets. Existing repositories stay; an existing configuration is never
 * overwritten.
 *
 * @throws {InitError}; the system's error when something cannot be created.
 */
export async function initDirectory(directory: string): Promise<InitializedDirectory> {
  await makeDirectory(directory, { mode: PRIVATE_DIRECTORY });
  const root = await realpath(directory);
  const [configPath, tokenPath, socketPath] = [
    join(root, 'config.toml'),
    join(root, 'token'),
    join(root, 'gitaly.socket'),
  ];
  const length = Buffer.byteLength(socketPath);
  if (length > MAX_SOCKET_PATH_BYTES) {
    throw new InitError(
      `${socketPath} has ${length} bytes; the limit for a socket is ${MAX_SOCKET_PATH_BYTES}. Choose a ` +
        'directory with a shorter path',
    );
  }
  for (const name of ['repositories', 'run'])
    await makeDirectory(join(root, name), { mode: PRIVATE_DIRECTORY });
  await writeNew(configPath, configOf(root));
  // After the configuration: if that exists, the directory and its token are unchanged.
  await writeNew(tokenPath, `${randomBytes(TOKEN_BYTES).toString('hex')}\n`);
  return { configPath, tokenPath, socketPath };
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: PRIVATE_FILE });
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    throw new InitError(`${path} exists already: remove it first, or choose another directory`, {
      cause: error,
    });
  }
}

function configOf(root: string): string {
  const at = (name: string): string => JSON.stringify(join(root, name));
  return `# Configuration of a stand-alone server. config.toml.example describes every key.
# Check it: gitaly-ts doctor ${JSON.stringify(join(root, 'config.toml'))}

# Where clients connect on this machine.
socket_path = ${at('gitaly.socket')}

# For clients on other machines too. Use tls_listen_addr on networks that others can read.
#listen_addr = "0.0.0.0:9999"

# For Prometheus: /metrics, /-/healthy, /-/ready. No authentication: keep it private.
#prometheus_listen_addr = "127.0.0.1:9236"

# Sockets and temporary programs of the running server.
runtime_dir = ${at('run')}

# Clients prove that they know this token (GITALY_TOKEN for gitaly-ssh and gitaly-ts import).
[auth]
token_file = ${at('token')}

# The repositories, and the name by which clients know the directory.
[[storage]]
name = "default"
path = ${at('repositories')}

# Who decides on pushes. Without it every push is allowed and custom hooks still run.
#[gitlab]
#url = "https://gitlab.example.com"
#secret_file = "/etc/gitlab/.gitlab_shell_secret"

[logging]
format = "json"
level = "info"
`;
}
