import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { anything, parseAs, record, type Shaped } from '#base/shape';

/** The trace of a large pack takes some kilobytes; what is beyond this is not read. */
const MAX_TRACE_BYTES = 1 << 20;

/** Traces of this process so far. */
let count = 0;

/** An event of git's trace2, as git writes it. */
const traceEvent = record(anything);
export type TraceEvent = Shaped<typeof traceEvent>;

/** A trace2 file of one git process and its children. Disposing removes the file. */
export class TraceFile implements AsyncDisposable {
  readonly #path: string;
  #isNamed = false;

  /** @param directory of this process alone; git creates the file there. */
  constructor(directory: string) {
    this.#path = join(directory, `trace2-${++count}`);
  }

  /** Variables for git. The brief form omits the time and the place in git's source. */
  get env(): Readonly<Record<string, string>> {
    this.#isNamed = true;
    return { GIT_TRACE2_EVENT: this.#path, GIT_TRACE2_EVENT_BRIEF: 'true' };
  }

  /** Reads what git wrote. Call it when git has ended. */
  async read(): Promise<string> {
    await using file = await open(this.#path);
    const size = Math.min((await file.stat()).size, MAX_TRACE_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(size), 0, size, 0);
    return buffer.toString('utf8', 0, bytesRead);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isNamed) await rm(this.#path, { force: true });
  }
}

/**
 * Returns the fields of the log about a trace, with Gitaly's names: `trace2.error` if it is
 * unreadable. Call it when git has ended.
 *
 * @param hook Gitaly's name of what reads the trace.
 * @param fieldsOf returns the fields for the text of the trace.
 */
export async function traceFields(
  trace: TraceFile,
  hook: string,
  fieldsOf: (text: string) => Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const fields = { 'trace2.activated': 'true', 'trace2.hooks': hook };
  try {
    return { ...fields, ...fieldsOf(await trace.read()) };
  } catch (error) {
    return { ...fields, 'trace2.error': `trace2: parsing events: ${messageOf(error)}` };
  }
}

/** Yields the events in the lines that have one of the words. A line that is not whole is ignored. */
export function* traceEvents(text: string, words: readonly string[]): Generator<TraceEvent> {
  for (const line of text.split('\n')) if (words.some((word) => line.includes(word))) yield parseEvent(line);
}

/** git writes one object a line; the last one may be cut off at the limit, or by the end of git. */
function parseEvent(line: string): TraceEvent {
  return parseAs(traceEvent, line) ?? {};
}
