import { type FormatLine, type LogFormat, lineFormatter } from './format-line.ts';
import type { LogFields } from './line-order.ts';
import type { LogStream } from './log-stream.ts';
import { maskUrlCredentials } from './mask-urls.ts';

/** From what a human must act on to what only a developer reads. */
export const LOG_LEVELS = ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly format: LogFormat;
  /** Lowest level that is written. */
  readonly level: LogLevel;
  readonly stream: LogStream;
  /** Fields of every line; `pid` is always there. */
  readonly fields?: LogFields;
  readonly now?: () => Date;
}

/** Longest `error` field in bytes; what is longer is cut, and the text says so. */
const MAX_ERROR_BYTES = 1024;

/** Methods whose arguments may carry URLs with credentials. */
const METHODS_WITH_URLS = new Set(['CreateRepositoryFromURL', 'FetchRemote', 'UpdateRemoteMirror']);

/** A configured `logging.level` as a level; `warning` is another word for `warn`. The configuration was checked before. */
export function logLevel(name: string): LogLevel {
  const lower = name.toLowerCase();
  return LOG_LEVELS.find((level) => level === lower) ?? (lower === 'warning' ? 'warn' : 'info');
}

export function createLogger(options: LoggerOptions): Logger {
  return new Logger({ ...options, formatLine: lineFormatter(options.format) }, { pid: process.pid, ...options.fields });
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

  /** A logger whose lines carry these fields as well. */
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

/** Hides credentials in the one place where Gitaly hides them; answers the message, changed or not. */
function mask(line: Record<string, unknown>, message: string): string {
  if (typeof line['grpc.method'] !== 'string' || !METHODS_WITH_URLS.has(line['grpc.method'])) return message;
  const { args, error } = line;
  if (Array.isArray(args)) line.args = args.map((arg: unknown) => (typeof arg === 'string' ? maskUrlCredentials(arg) : arg));
  if (error !== undefined) line.error = maskUrlCredentials(error instanceof Error ? error.message : String(error));
  return maskUrlCredentials(message);
}

function truncateError(line: Record<string, unknown>): void {
  const { error } = line;
  if (error === undefined) return;
  const text = error instanceof Error ? error.message : error;
  if (typeof text !== 'string') return;
  line.error = text;
  // A character takes at most three bytes for each of its UTF-16 units, so short texts need no counting.
  if (text.length * 3 <= MAX_ERROR_BYTES || Buffer.byteLength(text) <= MAX_ERROR_BYTES) return;
  line.error = `${new TextDecoder().decode(Buffer.from(text).subarray(0, MAX_ERROR_BYTES), { stream: true })}... (truncated)`;
}
