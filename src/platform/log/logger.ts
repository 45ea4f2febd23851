import { isError } from '#base/is-error';
import { FieldList, type LogFields } from './field-list.ts';
import { type LogFormat, lineFormatter } from './format-line.ts';
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

/**
 * A logger of the program that embeds a server: pino's or bunyan's, or a plain object. Credentials
 * in the fields are masked.
 */
export interface LogTarget {
  error(fields: LogFields, message: string): unknown;
  warn(fields: LogFields, message: string): unknown;
  info(fields: LogFields, message: string): unknown;
  debug?(fields: LogFields, message: string): unknown;
}

/** @param isUrgent the line must not wait for the event loop. */
type WriteLine = (level: LogLevel, message: string, fields: FieldList, isUrgent: boolean) => void;

/** Creates a logger that writes lines in the format of Gitaly. */
export function createLogger({ fields, format, level, now, stream }: LoggerOptions): Logger {
  const formatLine = lineFormatter(format);
  const write: WriteLine = (of, message, line, isUrgent) => {
    const text = formatLine(now?.() ?? new Date(), of === 'warn' ? 'warning' : of, message, line);
    if (isUrgent && stream.writeNow !== undefined) stream.writeNow(text);
    else stream.write(text);
  };
  return new Logger({ level, write }, { pid: process.pid, ...fields });
}

/** Returns a logger that passes lines on to the logger of the embedding program. */
export function loggerFor(target: LogTarget): Logger {
  if (target instanceof Logger) return target;
  const write: WriteLine = (level, message, list) => {
    const fields = list.toObject();
    if (level === 'warn' || level === 'info') target[level](fields, message);
    else if (level === 'debug' || level === 'trace') target.debug?.(fields, message);
    else target.error(fields, message);
  };
  return new Logger({ level: target.debug === undefined ? 'info' : 'debug', write }, {});
}

/** Writes structured lines. Each method takes a message, or fields and a message. */
export class Logger {
  readonly #options: { readonly level: LogLevel; readonly write: WriteLine };
  readonly #fields: LogFields;
  readonly #threshold: number;

  constructor(options: { readonly level: LogLevel; readonly write: WriteLine }, fields: LogFields) {
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

  /** Writes a line. It may change the list of fields, and keeps no reference to it. */
  log(level: LogLevel, fields: LogFields | FieldList | string, message?: string): void {
    this.#log(level, fields, message, false);
  }

  /**
   * Writes a line before it returns, where the log is a descriptor: for the time in which the event
   * loop is blocked. Earlier lines that still wait are written after it.
   */
  logNow(level: LogLevel, fields: LogFields, message: string): void {
    this.#log(level, fields, message, true);
  }

  #log(
    level: LogLevel,
    fields: LogFields | FieldList | string,
    message: string | undefined,
    isUrgent: boolean,
  ): void {
    if (!this.isEnabled(level)) return;
    const text = typeof fields === 'string' ? fields : (message ?? '');
    const line = fields instanceof FieldList ? fields : listOf(this.#fields, fields);
    if (line === fields) this.#addCommon(line);
    const masked = mask(line, text);
    truncateError(line);
    this.#options.write(level, masked, line, isUrgent);
  }

  #addCommon(line: FieldList): void {
    for (const key in this.#fields) if (!line.has(key)) line.add(key, this.#fields[key]);
  }
}

/** Returns the fields of a line; its own replace those of the logger. */
function listOf(common: LogFields, own: LogFields | string): FieldList {
  const line = new FieldList();
  line.addAll(common);
  if (typeof own !== 'string') line.addAll(own);
  return line;
}

/**
 * Masks credentials in the fields that Gitaly masks, and returns the message, masked if necessary.
 */
function mask(line: FieldList, message: string): string {
  const method = line.get('grpc.method');
  if (typeof method !== 'string' || !METHODS_WITH_URLS.has(method)) return message;
  const [args, error] = [line.get('args'), line.get('error')];
  if (Array.isArray(args)) {
    const masked = args.map((arg: unknown) => (typeof arg === 'string' ? maskUrlCredentials(arg) : arg));
    line.replace('args', masked);
  }
  if (error !== undefined)
    line.replace('error', maskUrlCredentials(isError(error) ? error.message : String(error)));
  return maskUrlCredentials(message);
}

function truncateError(line: FieldList): void {
  const error = line.get('error');
  if (error === undefined) return;
  const text = isError(error) ? error.message : error;
  if (typeof text !== 'string') return;
  line.replace('error', text);
  // A UTF-16 unit takes at most three bytes, so short texts need no counting.
  if (text.length * 3 <= MAX_ERROR_BYTES || Buffer.byteLength(text) <= MAX_ERROR_BYTES) return;
  const head = Buffer.from(text).subarray(0, MAX_ERROR_BYTES);
  line.replace('error', `${new TextDecoder().decode(head, { stream: true })}... (truncated)`);
}
