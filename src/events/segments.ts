import { open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { type NewEvent, RESYNC_ALL, type RepositoryEvent } from './event.ts';
import { linesOfFile } from './event-files.ts';
import { parseEventLine } from './event-line.ts';

/** A file of a journal. */
export interface Segment {
  /** Sequence of its first event. */
  readonly first: number;
  bytes: number;
  /** Milliseconds since 1970. */
  lastMs: number;
}

/** The events that a process has added after another one had listed the segments. */
export interface RestOfSegments {
  /** Sequence of the first of them; infinite without any. */
  readonly first: number;
  /** 0 without any. */
  readonly last: number;
  /** Replace these events for consumers that have read later ones. */
  readonly resyncs: readonly NewEvent[];
  /** Some of them cannot be read. */
  readonly isDamaged: boolean;
}

const NAME_DIGITS = 16;
const NAME = /^\d{16}\.log$/;
/** With more repositories, consumers list all. */
const MAX_RESYNCS = 1000;

export function segmentPath(directory: string, first: number): string {
  return join(directory, `${String(first).padStart(NAME_DIGITS, '0')}.log`);
}

/** Returns the segments of a directory in their order. */
export async function listSegments(directory: string): Promise<Segment[]> {
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  const segments: Segment[] = [];
  for (const name of names) {
    const { mtimeMs, size } = await stat(join(directory, name));
    segments.push({ first: Number(name.slice(0, NAME_DIGITS)), bytes: size, lastMs: mtimeMs });
  }
  return segments;
}

/**
 * Reads what segments have gained since they were listed before, and cuts off what cannot be read:
 * the last line of a killed process.
 */
export async function cutRest(
  directory: string,
  segments: readonly Segment[],
  before: readonly Segment[],
): Promise<RestOfSegments> {
  let [firstSequence, last, isDamaged] = [Number.POSITIVE_INFINITY, 0, false];
  const changed = new Set<string>();
  const note = ({ kind, relativePath, sequence }: RepositoryEvent): void => {
    firstSequence = Math.min(firstSequence, sequence);
    last = Math.max(last, sequence);
    if (changed.size <= MAX_RESYNCS)
      changed.add(kind === 'reference' || kind === 'resync' ? relativePath : '');
  };
  const ends: number[] = [];
  for (const segment of segments) {
    const start = before.find(({ first }) => first === segment.first)?.bytes ?? 0;
    const path = segmentPath(directory, segment.first);
    const { end, isLost } = await readFrom(path, { start, size: segment.bytes, note });
    isDamaged ||= isLost;
    ends.push(end);
  }
  // Now that all is read: if that fails, the caller finds the damage again.
  for (const [index, segment] of segments.entries()) {
    const { bytes, first } = segment;
    segment.bytes = ends[index] ?? bytes;
    if (segment.bytes < bytes) await truncate(segmentPath(directory, first), segment.bytes);
  }
  const isAny = isDamaged || changed.has('') || changed.size > MAX_RESYNCS;
  const resyncs = isAny
    ? [RESYNC_ALL]
    : [...changed].map((relativePath) => ({ kind: 'resync', relativePath }) as const);
  return { first: firstSequence, last, resyncs, isDamaged };
}

async function readFrom(
  path: string,
  {
    start,
    size,
    note,
  }: { readonly start: number; readonly size: number; readonly note: (event: RepositoryEvent) => void },
): Promise<{ readonly end: number; readonly isLost: boolean }> {
  let end = start;
  if (start >= size) return { end, isLost: false };
  const stream = (await open(path)).createReadStream({ start });
  for await (const lines of linesOfFile(stream))
    for (const line of lines) {
      const event = parseEventLine(line);
      const isComplete = end + line.length < size;
      if (event === undefined || !isComplete) return { end, isLost: isComplete };
      note(event);
      end += line.length + 1;
    }
  return { end, isLost: false };
}
