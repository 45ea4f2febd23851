import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import type { ServerStatus } from '#calls/top/status';
import { loadConfig } from '#platform/config/load-config';
import { renderStatus } from './render-status.ts';

export interface TopOptions {
  readonly target: string;
  /** Prints one status and ends; so does output that is no terminal. */
  readonly once: boolean;
  /** Prints one status as JSON. */
  readonly json: boolean;
  readonly intervalMs: number;
  readonly stdout: {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    readonly rows?: number;
    readonly columns?: number;
  };
  readonly stderr: { write(text: string): unknown };
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** The alternate screen of a terminal keeps what was there before. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';

const ANSWER_LIMIT_MS = 10_000;
const PATH = '/debug/top';

/** Runs `gitaly-ts top`: shows what a server is doing. Resolves to the exit code. */
export async function runTop(options: TopOptions): Promise<number> {
  const { target, once, json, stdout, stderr, signal } = options;
  try {
    const url = await statusUrl(target);
    if (once || json || stdout.isTTY !== true) {
      const status = await fetchStatus(url, signal);
      stdout.write(json ? `${JSON.stringify(status, undefined, 2)}\n` : renderStatus(status));
    } else await refresh(url, options);
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    stderr.write(`gitaly-ts top: ${messageOf(error)}\n`);
    return 1;
  }
}

/** Shows a new status again and again. A server that restarts is shown when it is back. */
async function refresh(url: URL, { intervalMs, stdout, signal }: TopOptions): Promise<void> {
  const first = await fetchStatus(url, signal);
  stdout.write(ENTER);
  try {
    let text = renderStatus(first);
    while (!signal.aborted) {
      stdout.write(HOME + fitted(text, stdout) + CLEAR_BELOW);
      await sleep(intervalMs, undefined, { signal });
      text = await fetchStatus(url, signal).then(renderStatus, (error: unknown) => `${messageOf(error)}\n`);
    }
  } finally {
    stdout.write(LEAVE);
  }
}

/** Cuts a text to the size of the screen. */
function fitted(text: string, { rows = 24, columns = 80 }: TopOptions['stdout']): string {
  const lines = text
    .trimEnd()
    .split('\n')
    .slice(0, rows - 1);
  return lines.map((line) => `${line.slice(0, columns)}${CLEAR_LINE}\n`).join('');
}

/**
 * Returns the address of a server's status.
 *
 * @param target `http://HOST:PORT`, `HOST:PORT` or `:PORT` of its monitoring listener, or its
 *   configuration file.
 * @throws {Error} when the file names no monitoring listener.
 */
async function statusUrl(target: string): Promise<URL> {
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
async function fetchStatus(url: URL, signal: AbortSignal): Promise<ServerStatus> {
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
