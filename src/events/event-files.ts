import { open } from 'node:fs/promises';
import { codeOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { lineBatches } from '#base/streams/line-batches';
import type { RepositoryEvent } from './event.ts';
import { parseEventLine } from './event-line.ts';

/** The events after a cursor are no longer kept, or cannot be read. */
export class TooOldError extends Error {
  override readonly name: string = 'TooOldError';
}

/** The rest of a file cannot be read. */
export class DamagedFileError extends TooOldError {
  override readonly name = 'DamagedFileError';

  constructor(path: string) {
    super(`damaged: ${path}`);
  }
}

/**
 * Yields the events of a file, or of its first bytes. The file may be removed meanwhile.
 *
 * @throws {TooOldError} if it was removed before; {DamagedFileError} after the events before the
 *   damage; the system's error.
 */
export async function* eventsOfFile(
  path: string,
  bytes?: number,
): AsyncGenerator<RepositoryEvent[], void, undefined> {
  if (bytes === 0) return;
  const file = await open(path).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    throw new TooOldError('the events are no longer kept', { cause: error });
  });
  const stream = file.createReadStream(bytes === undefined ? {} : { end: bytes - 1 });
  for await (const lines of linesOfFile(stream)) yield* eventsOfLines(lines, path);
}

/**
 * Yields the lines of a file of events, in batches. If one is too long for an event, such as zeros
 * after a power failure, the rest of the file is one line that is no event.
 */
export async function* linesOfFile(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer[], void, undefined> {
  try {
    yield* lineBatches(stream);
  } catch (error) {
    if (codeOf(error) !== 'RESOURCE_EXHAUSTED') throw error;
    yield [Buffer.alloc(0)];
  }
}

function* eventsOfLines(lines: readonly Buffer[], path: string): Generator<RepositoryEvent[], void> {
  const events: RepositoryEvent[] = [];
  for (const line of lines) {
    const event = parseEventLine(line);
    if (event === undefined) {
      if (events.length > 0) yield events;
      throw new DamagedFileError(path);
    }
    events.push(event);
  }
  yield events;
}
