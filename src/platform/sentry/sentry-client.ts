import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { waitAtMost } from '#base/async/wait-at-most';
import { messageOf } from '#base/gitaly-error';
import type { Logger } from '../log/logger.ts';
import { maskUrlCredentials } from '../log/mask-urls.ts';
import type { SentryTarget } from './dsn.ts';

/** An error to report. URLs in texts are sent without their user and password. */
export interface ErrorReport {
  readonly error: unknown;
  readonly tags: Readonly<Record<string, string>>;
  /** Reports with the same fingerprint belong to one problem; by default Sentry decides. */
  readonly fingerprint?: readonly string[];
  readonly transaction?: string;
  /** Sends the stack, for an unexpected exception. */
  readonly withStack?: boolean;
}

export interface SentryClientOptions extends SentryTarget {
  readonly release: string;
  /** Sentry's default is `production`. */
  readonly environment: string | undefined;
  readonly logger: Logger;
  /** Default: {@link SEND_LIMIT_MS}. */
  readonly sendLimitMs?: number;
}

const SEND_LIMIT_MS = 5000;
/** Longest wait for reports at the stop of a server. */
const STOP_LIMIT_MS = 2000;
/** Reports under way; further ones are lost. An outage makes one for each call. */
const MAX_PENDING = 30;
const MAX_TEXT_CHARS = 1024;
const WARNING_INTERVAL_MS = 60_000;
/** Pause after a refusal that names none. */
const DEFAULT_PAUSE_MS = 60_000;

/** A line of a stack, in Sentry's format. */
interface StackFrame {
  readonly function: string;
  readonly filename: string;
  readonly lineno: number;
  readonly colno: number;
  /** False for Node and packages. */
  readonly in_app: boolean;
}

const START = '    at ';
const POSITION = /:(\d+):(\d+)\)?$/;
const MAX_FRAMES = 50;

/** Sends error reports to Sentry, one request each. Reports that cannot be sent are lost. */
export class SentryClient implements AsyncDisposable {
  readonly #options: SentryClientOptions;
  readonly #pending = new Set<Promise<void>>();
  #pausedUntilMs = 0;
  #warnedAtMs = Number.NEGATIVE_INFINITY;
  #lost = 0;

  constructor(options: SentryClientOptions) {
    this.#options = options;
  }

  /** Starts to send a report. Never throws. */
  report(report: ErrorReport): void {
    if (this.#pending.size >= MAX_PENDING || performance.now() < this.#pausedUntilMs) {
      this.#lost++;
      return;
    }
    const sending = this.#send(envelope(report, this.#options)).catch((error: unknown) => {
      this.#lost++;
      this.#warn(messageOf(error));
    });
    this.#pending.add(sending);
    void sending.finally(() => this.#pending.delete(sending));
  }

  /** Waits a short time for the reports under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await waitAtMost(Promise.all(this.#pending), STOP_LIMIT_MS);
  }

  async #send(body: string): Promise<void> {
    const { url, authorization, sendLimitMs = SEND_LIMIT_MS } = this.#options;
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-sentry-envelope', 'x-sentry-auth': authorization },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(sendLimitMs),
    });
    await response.body?.cancel();
    if (response.ok) return;
    if (response.status === 429) this.#pausedUntilMs = performance.now() + pauseMs(response.headers);
    throw new Error(`Sentry returned ${response.status}`);
  }

  /** Logs a failure, at most once a minute. */
  #warn(error: string): void {
    const now = performance.now();
    if (now - this.#warnedAtMs < WARNING_INTERVAL_MS) return;
    this.#warnedAtMs = now;
    this.#options.logger.warn({ error, lost: this.#lost }, 'error reports could not be sent');
    this.#lost = 0;
  }
}

function pauseMs(headers: Headers): number {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return seconds > 0 ? seconds * 1000 : DEFAULT_PAUSE_MS;
}

/** Returns Sentry's envelope of one event. */
function envelope(report: ErrorReport, { release, environment }: SentryClientOptions): string {
  const { error, tags, fingerprint, transaction, withStack = false } = report;
  const id = randomBytes(16).toString('hex');
  const text = shown(messageOf(error));
  const type = error instanceof Error ? error.name : 'Error';
  const stack = withStack && error instanceof Error ? stackFrames(error.stack ?? '') : [];
  const event = {
    event_id: id,
    timestamp: Date.now() / 1000,
    platform: 'node',
    level: 'error',
    server_name: hostname(),
    release,
    ...(environment && { environment }),
    tags: Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, shown(value)])),
    message: text,
    exception: {
      values: [{ type, value: text, ...(stack.length > 0 && { stacktrace: { frames: stack } }) }],
    },
    ...(fingerprint && { fingerprint }),
    ...(transaction && { transaction }),
  };
  const payload = JSON.stringify(event);
  const head = JSON.stringify({ event_id: id, sent_at: new Date().toISOString() });
  return `${head}\n${JSON.stringify({ type: 'event', length: Buffer.byteLength(payload) })}\n${payload}\n`;
}

function shown(text: string): string {
  return maskUrlCredentials(text.slice(0, MAX_TEXT_CHARS));
}

/** Parses the stack of an error; the innermost call is last. Other lines are left out. */
export function stackFrames(stack: string): StackFrame[] {
  return stack
    .split('\n')
    .flatMap((text) => {
      const [suffix, line, column] = (text.startsWith(START) && POSITION.exec(text)) || [];
      if (suffix === undefined) return [];
      const call = text.slice(START.length, -suffix.length);
      const at = call.indexOf(' (');
      const name = at === -1 ? undefined : call.slice(0, at).replace(/^async /, '');
      const file = at === -1 ? call : call.slice(at + 2);
      const isOwn = !file.startsWith('node:') && !file.includes('/node_modules/');
      const place = { lineno: Number(line), colno: Number(column), in_app: isOwn };
      return [{ function: name ?? '<anonymous>', filename: file, ...place }];
    })
    .slice(0, MAX_FRAMES)
    .reverse();
}
