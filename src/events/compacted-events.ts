import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { syncPath } from '#base/files/sync-path';
import { Compaction } from './compaction.ts';
import type { RepositoryEvent } from './event.ts';
import { eventsOfFile } from './event-files.ts';
import { formatEventLine } from './event-line.ts';

const NAME_DIGITS = 16;
const NAME = /^\d{16}\.compacted$/;
const INCOMPLETE = 'compacted.tmp';
const FILE_MODE = 0o600;
const CHUNK_BYTES = 256 * 1024;

/** The compacted events of a journal, in a file that is replaced as a whole. */
export interface CompactedEvents {
  /** Sequence of the last event that was compacted. */
  readonly last: number;
  readonly path: string;
}

export interface CompactOptions {
  readonly directory: string;
  /** Size limit of the file; above it there are no compacted events. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Finds the compacted events of a journal whose segments start at a sequence. Removes the leftovers
 * of a killed process.
 */
export async function findCompacted(directory: string, first: number): Promise<CompactedEvents | undefined> {
  await rm(join(directory, INCOMPLETE), { force: true });
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  const newest = names.pop();
  for (const name of names) await rm(join(directory, name), { force: true });
  if (newest === undefined) return undefined;
  const last = Number(newest.slice(0, NAME_DIGITS));
  const path = join(directory, newest);
  if (last >= first - 1) return { last, path };
  await rm(path, { force: true }); // events between it and the segments are missing
  return undefined;
}

/**
 * Merges segments into the compacted events before them. Until it resolves, the files from before
 * are valid; afterwards the caller removes them.
 *
 * @returns `undefined` if the result would be too large, or events are missing.
 */
export async function compact(
  before: CompactedEvents | undefined,
  segments: readonly AsyncIterable<readonly RepositoryEvent[]>[],
  last: number,
  { directory, maxBytes, signal }: CompactOptions,
): Promise<CompactedEvents | undefined> {
  const compaction = new Compaction();
  const slice = new LoopSlice();
  for (const segment of segments)
    for await (const events of segment) {
      for (const event of events) compaction.add(event);
      await slice.pause(signal);
    }
  if (compaction.isUnknown) return undefined;
  const incomplete = join(directory, INCOMPLETE);
  const file = await open(incomplete, 'w', FILE_MODE);
  try {
    const bytes = await writeEvents(file, merged(before, compaction, signal), { maxBytes, signal });
    if (bytes > maxBytes) return undefined;
    await file.datasync();
    const path = join(directory, `${String(last).padStart(NAME_DIGITS, '0')}.compacted`);
    await rename(incomplete, path);
    await syncPath(directory);
    return { last, path };
  } finally {
    await file.close();
    await rm(incomplete, { force: true });
  }
}

async function* merged(
  before: CompactedEvents | undefined,
  compaction: Compaction,
  signal: AbortSignal,
): AsyncGenerator<readonly RepositoryEvent[]> {
  if (before !== undefined)
    for await (const events of eventsOfFile(before.path))
      yield events.map((event) => compaction.merge(event)).filter((event) => event !== undefined);
  const rest: RepositoryEvent[] = [];
  const slice = new LoopSlice();
  for (const event of compaction.rest()) {
    rest.push(event);
    await slice.pause(signal);
  }
  yield await sortInTurns(rest, (one, other) => one.sequence - other.sequence, signal);
}

/**
 * Writes events up to a number of bytes. @returns the number of bytes, which exceeds the limit if
 * it was reached.
 */
async function writeEvents(
  file: FileHandle,
  batches: AsyncIterable<readonly RepositoryEvent[]>,
  { maxBytes, signal }: Pick<CompactOptions, 'maxBytes' | 'signal'>,
): Promise<number> {
  const slice = new LoopSlice();
  let bytes = 0;
  let text = '';
  const write = async (): Promise<void> => {
    const chunk = Buffer.from(text);
    text = '';
    bytes += chunk.length;
    await file.appendFile(chunk);
  };
  for await (const events of batches)
    for (const event of events) {
      text += formatEventLine(event);
      if (text.length < CHUNK_BYTES) continue;
      await write();
      if (bytes > maxBytes) return bytes;
      await slice.pause(signal);
    }
  await write();
  return bytes;
}
