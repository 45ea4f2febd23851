import { closeSync, constants, openSync } from 'node:fs';
import { messageOf } from '#base/gitaly-error';
import { FdLogStream } from '#platform/log/log-stream';
import type { AccessRecord, PushedReference } from './access-record.ts';

export interface AccessLogOptions {
  /** Path of the file, or `-` for standard output. */
  readonly path: string;
  readonly format: AccessLogFormat;
  /** Called when the file cannot be opened again; the previous one stays in use. */
  readonly onProblem: (error: unknown) => void;
}

/** Name of standard output. */
export const STANDARD_OUTPUT = '-';
/** Limit of waiting lines, some ten thousand: a disk that is stuck must not fill the memory. */
const MAX_WAITING_BYTES = 4 << 20;
/** The owner writes, a group such as `adm` may read. */
const FILE_MODE = 0o640;
/** A named pipe without a reader must not block; files ignore the flag. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/**
 * A file with one line for each request. Several processes may append to it: each writes whole
 * lines at once. Writing never waits; lines that the disk does not take are dropped, and a later
 * line has their number.
 */
export class AccessLog implements AsyncDisposable {
  readonly #options: AccessLogOptions;
  #file: OpenFile;

  private constructor(options: AccessLogOptions, file: OpenFile) {
    this.#options = options;
    this.#file = file;
  }

  /** Opens the file, and creates it if it is missing. @throws the system's error. */
  static open(options: AccessLogOptions): AccessLog {
    return new AccessLog(options, openFile(options));
  }

  readonly add = (record: AccessRecord): void => {
    this.#file.stream.write(accessLine(record, this.#options.format));
  };

  /** Opens the path again, at which there may be another file since. */
  reopen(): void {
    try {
      const previous = this.#file;
      this.#file = openFile(this.#options);
      void previous.close();
    } catch (error) {
      this.#options.onProblem(new Error(`${this.#options.path}: ${messageOf(error)}`, { cause: error }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

interface OpenFile {
  readonly stream: FdLogStream;
  close(): Promise<void>;
}

function openFile({ format, path }: AccessLogOptions): OpenFile {
  const fd = path === STANDARD_OUTPUT ? process.stdout.fd : openSync(path, FLAGS, FILE_MODE);
  const stream = new FdLogStream(fd, { format, maxWaitingBytes: MAX_WAITING_BYTES });
  // Other processes may write to the same pipe; a file is appended to at once.
  stream.isShared = path === STANDARD_OUTPUT;
  return {
    stream,
    close: async () => {
      await stream.end();
      if (path !== STANDARD_OUTPUT) closeSync(fd);
    },
  };
}

type AccessLogFormat = 'json' | 'text';

/** Returns a line of the access log, with its newline. It contains no secret. */
export function accessLine(record: AccessRecord, format: AccessLogFormat): string {
  const fields = fieldsOf(record);
  return format === 'json' ? `${JSON.stringify(fields)}\n` : textLine(fields);
}

type Field = string | number | readonly PushedReferenceField[] | undefined;

/** A reference as in the line. */
interface PushedReferenceField {
  readonly name: string;
  readonly old: string;
  readonly new: string;
  readonly reason: string | undefined;
}

/** Returns the fields in their order; those that are undefined are left out. */
function fieldsOf(record: AccessRecord): Readonly<Record<string, Field>> {
  const { identity, references } = record;
  return {
    time: record.endedAt.toISOString(),
    transport: record.transport,
    operation: record.operation,
    outcome: record.outcome,
    reason: record.reason,
    user: identity?.username,
    credential: identity?.credential?.kind,
    credential_name: identity?.credential?.name || undefined,
    offered_key: record.offeredKey,
    change: record.change,
    address: record.remoteAddress,
    repository: record.repository,
    references: references.length === 0 ? undefined : references.map(referenceField),
    reference_count: references.length === 0 ? undefined : record.referenceCount,
    bytes_in: record.bytesIn,
    bytes_out: record.bytesOut,
    duration_ms: Math.round(record.durationMs),
  };
}

function referenceField({ name, newId, oldId, reason }: PushedReference): PushedReferenceField {
  return { name, old: oldId, new: newId, reason };
}

function textLine(fields: Readonly<Record<string, Field>>): string {
  const words: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = typeof value === 'object' ? value.map(referenceText).join(' ') : String(value);
    words.push(`${name}=${quoted(text)}`);
  }
  return `${words.join(' ')}\n`;
}

function referenceText(reference: PushedReferenceField): string {
  const change = `${reference.name}:${reference.old}..${reference.new}`;
  return reference.reason === undefined ? change : `${change} (${reference.reason})`;
}

/** Returns a value that is one word, or one in quotes: nobody writes a line into the log. */
function quoted(text: string): string {
  return /^[\w.:/@+,-]+$/.test(text) ? text : JSON.stringify(text);
}
