import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { renderStatus } from './render-status.ts';
import { fetchStatus, statusUrl } from './status-source.ts';

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
