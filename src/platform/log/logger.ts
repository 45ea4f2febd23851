import { isError } from '#base/is-error';
import { type FormatLine, type LogFormat, lineFormatter } from './format-line.ts';
import type { LogFields } from './line-order.ts';
import type { LogStream } from './log-stream.ts';
import { maskUrlCredentials } from './mask-urls.ts';

/** Levels from the most to the least urgent. */
export const LOG_LEVELS = ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly format: LogFormat;
  /** Minimum level of written lines. */
  readonly level: LogLevel;
  readonly stream: LogStream;
  /** Fields of every line; `pid` is always added. */
  readonly fields?: LogFields;
  readonly now?: () => Date;
}

/** Maximum length of the `error` field in bytes. A longer text is truncated and marked as such. */
const MAX_ERROR_BYTES = 1024;

/** Methods whose arguments may carry URLs with credentials. */
const METHODS_WITH_URLS = new Set(['CreateRepositoryFromURL', 'FetchRemote', 'UpdateRemoteMirror']);

/** Converts a checked `logging.level` to a level; `warning` means `warn`. */
export function logLevel(name: string): LogLevel {
  const lower = name.toLowerCase();
  return LOG_LEVELS.find((level) => level === lower) ?? (lower === 'warning' ? 'warn' : 'info');
}

export function createLogger(options: LoggerOptions): Logger {
  return new Logger(
    { ...options, formatLine: lineFormatter(options.format) },
    { pid: process.pid, ...options.fields },
  );
}

/** Writes structured lines. Each method takes a message, or fields and a message. */
export class Logger {
  readonly #options: LoggerOptions & { readonly formatLine: FormatLine };
  readonly #fields: LogFields;
  readonly #threshold: number;

  constructor(options: LoggerOptions & { readonly formatLine: FormatLine }, fields: LogFields) {
    this.#options = options;
    this.#fields = fields;
    this.#threshold = LOG_LEVELS.indexOf(options.level);
  }

  /** Returns a logger that adds these fields to its lines. */
  child(fields: LogFields): Logger {
    return new Logger(this.#options, { ...this.#fields, ...fields });
  }

  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.#threshold;
  }

  error(fields: LogFields | string, message?: string): void {
    this.log('error', fields, message);
  }

  warn(fields: LogFields | string, message?: string): void {
    this.log('warn', fields, message);
  }

  info(fields: LogFields | string, message?: string): void {
    this.log('info', fields, message);
  }

  debug(fields: LogFields | string, message?: string): void {
    this.log('debug', fields, message);
  }

  trace(fields: LogFields | string, message?: string): void {
    this.log('trace', fields, message);
  }

  log(level: LogLevel, fields: LogFields | string, message?: string): void {
    if (!this.isEnabled(level)) return;
    const own = typeof fields === 'string' ? undefined : fields;
    const text = typeof fields === 'string' ? fields : (message ?? '');
    const line = own === undefined ? { ...this.#fields } : { ...this.#fields, ...own };
    const { formatLine, stream, now } = this.#options;
    const masked = mask(line, text);
    truncateError(line);
    stream.write(formatLine(now?.() ?? new Date(), level === 'warn' ? 'warning' : level, masked, line));
  }
}

/**
 * Masks credentials in the fields that Gitaly masks, and returns the message, masked if necessary.
 */
function mask(line: Record<string, unknown>, message: string): string {
  if (typeof line['grpc.method'] !== 'string' || !METHODS_WITH_URLS.has(line['grpc.method'])) return message;
  const { args, error } = line;
  if (Array.isArray(args))
    line.args = args.map((arg: unknown) => (typeof arg === 'string' ? maskUrlCredentials(arg) : arg));
  if (error !== undefined) line.error = maskUrlCredentials(isError(error) ? error.message : String(error));
  return maskUrlCredentials(message);
}

function truncateError(line: Record<string, unknown>): void {
  const { error } = line;
  if (error === undefined) return;
  const text = isError(error) ? error.message : error;
  if (typeof text !== 'string') return;
  line.error = text;
  // A UTF-16 unit takes at most three bytes, so short texts need no counting.
  if (text.length * 3 <= MAX_ERROR_BYTES || Buffer.byteLength(text) <= MAX_ERROR_BYTES) return;
  const head = Buffer.from(text).subarray(0, MAX_ERROR_BYTES);
  line.error = `${new TextDecoder().decode(head, { stream: true })}... (truncated)`;
}
