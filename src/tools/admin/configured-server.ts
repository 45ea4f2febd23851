import type { Connection } from '#client/connection';
import { dial } from '#client/dial';
import { ConfigError } from '#platform/config/config-error';
import { type GitalyConfig, loadConfig } from '#platform/config/load-config';
import { withHeading } from './run-command.ts';

const CONNECT_LIMIT_MS = 10_000;

/**
 * Reads a configuration file. @throws {Error} with a message that begins with `load config: `, like
 * Gitaly's.
 */
export async function readConfiguration(path: string): Promise<GitalyConfig> {
  try {
    return await loadConfig(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // The server's own message names the file as well.
    throw new Error(
      error.message.replace(/^(load config: )?(config_path "(?:[^"\\]|\\.)*": )?/, 'load config: '),
    );
  }
}

/** Returns the storage that a command names, or the only one. */
export function chosenStorage(config: GitalyConfig, name: string | undefined): string {
  if (name) return name;
  const [first, ...others] = config.storage;
  if (first === undefined || others.length > 0)
    throw new Error('multiple storages configured: use --storage to target storage explicitly');
  return first.name;
}

/** Returns the address at which a server with this configuration listens. */
export function addressOfServer({ socketPath, listenAddr, tlsListenAddr }: GitalyConfig): string {
  if (socketPath) return `unix:${socketPath}`;
  if (listenAddr) return `tcp://${withHost(listenAddr)}`;
  return `tls://${withHost(tlsListenAddr ?? '')}`;
}

/** `:9999` is a port on every address of this machine. */
function withHost(address: string): string {
  return address.startsWith(':')
    ? `localhost${address}`
    : address.replace(/^(0\.0\.0\.0|\[::\]):/, 'localhost:');
}

/** Connects to the running server of a configuration. The caller closes the connection. */
export async function dialServer(config: GitalyConfig, heading = 'create connection'): Promise<Connection> {
  const token = config.auth.token?.reveal();
  return await withHeading(
    heading,
    dial(addressOfServer(config), {
      failOnNonTemporaryDialError: true,
      signal: AbortSignal.timeout(CONNECT_LIMIT_MS),
      clientName: 'gitaly',
      ...(token && { token }),
    }),
  );
}
