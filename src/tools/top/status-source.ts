import { existsSync } from 'node:fs';
import type { ServerStatus } from '#calls/top/status';
import { loadConfig } from '#platform/config/load-config';

const ANSWER_LIMIT_MS = 10_000;
const PATH = '/debug/top';

/**
 * Returns the address of a server's status.
 *
 * @param target `http://HOST:PORT`, `HOST:PORT` or `:PORT` of its monitoring listener, or its
 *   configuration file.
 * @throws {Error} when the file names no monitoring listener.
 */
export async function statusUrl(target: string): Promise<URL> {
  if (/^https?:\/\//.test(target)) return new URL(PATH, target);
  if (!existsSync(target)) return urlOf(target);
  const { prometheusListenAddr } = await loadConfig(target);
  if (!prometheusListenAddr)
    throw new Error(
      `${target} names no monitoring listener: set prometheus_listen_addr, and restart the server`,
    );
  return urlOf(prometheusListenAddr);
}

function urlOf(address: string): URL {
  const [, host = '', port = ''] = /^(?:tcp:\/\/)?([^/]*):(\d+)$/.exec(address) ?? [];
  if (port === '')
    throw new Error(
      `${address} is neither a file nor HOST:PORT of a monitoring listener (prometheus_listen_addr)`,
    );
  const isEverywhere = host === '' || host === '0.0.0.0' || host === '[::]';
  return new URL(`http://${isEverywhere ? 'localhost' : host}:${port}${PATH}`);
}

/** Reads the status of a server. @throws {Error} that names the address. */
export async function fetchStatus(url: URL, signal: AbortSignal): Promise<ServerStatus> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
  let response: Response;
  try {
    response = await fetch(url, { signal: limited });
  } catch (error) {
    throw new Error(`${url.host} does not respond: is it prometheus_listen_addr of a running server?`, {
      cause: error,
    });
  }
  if (!response.ok)
    throw new Error(
      `${url.host} is no monitoring listener of this server: ${PATH} returned ${response.status}`,
    );
  // The shape is that of a server of the same version; a missing part fails in the renderer.
  return (await response.json()) as ServerStatus;
}
