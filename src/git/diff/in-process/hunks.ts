import type { LoopSlice } from '#base/async/loop-turns';
import type { LineChange } from '#git/lines/line-changes';
import { bytesOfLines, type Lines } from '#git/lines/split-lines';
import { type LineRule, nameInLine } from './drivers/line-rule.ts';
import type { TextWriter } from './text-writer.ts';

/** Unchanged lines around changes: git's default. */
const CONTEXT = 3;
/** Longest name of a function. @see git: xdiff/xemit.c, struct func_line */
const MAX_FUNCTION_BYTES = 80;
/** Longest line of a hunk's numbers and function. @see git: xdiff/xutils.c, xdl_format_hunk_hdr */
const MAX_HEADER_BYTES = 127;

const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;
const UNDERSCORE = 0x5f;
const DOLLAR = 0x24;
const WHITE_SPACE: ReadonlySet<number | undefined> = new Set([0x09, 0x0a, 0x0d, SPACE]);

/** Two versions of a file, and the changes between them. */
export interface ComparedLines {
  readonly before: Lines;
  readonly after: Lines;
  readonly changes: readonly LineChange[];
}

export interface HunkOptions {
  /** Rules for names of functions; `undefined` for git's default rule. */
  readonly rules: readonly LineRule[] | undefined;
  readonly slice: LoopSlice;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the hunks of a file as `git diff` does. Pauses for the event loop between lines that may
 * name a function.
 *
 * @throws {FallBackToGit} as {@link nameInLine}; the signal's reason when it is aborted.
 */
export async function writeHunks(
  writer: TextWriter,
  { before, after, changes }: ComparedLines,
  options: HunkOptions,
): Promise<void> {
  let name: Buffer = Buffer.alloc(0);
  let searched = 0;
  for (let first = 0; first < changes.length; ) {
    const last = endOfHunk(changes, first);
    const hunk = changes.slice(first, last);
    const [begin, finish] = [hunk[0], hunk.at(-1)];
    if (begin === undefined || finish === undefined) return;
    const start = Math.max(begin.at - CONTEXT, 0);
    const newStart = Math.max(begin.newAt - CONTEXT, 0);
    const [end, newEnd] = [finish.at + finish.removed, finish.newAt + finish.added];
    const below = Math.min(CONTEXT, before.ids.length - end, after.ids.length - newEnd);
    name = (await functionAbove(before, { start, searched }, options)) ?? name;
    searched = start;
    const old = rangeOf(start, end + below);
    const now = rangeOf(newStart, newEnd + below);
    writeHeader(writer, `@@ -${old} +${now} @@`, name);
    let at = newStart;
    for (const change of hunk) {
      writer.lines(after, at, change.newAt, SPACE);
      writer.lines(before, change.at, change.at + change.removed, MINUS);
      at = change.newAt + change.added;
      writer.lines(after, change.newAt, at, PLUS);
    }
    writer.lines(after, newEnd, newEnd + below, SPACE);
    first = last;
  }
}

/** Returns the index after the last change of a hunk; hunks that touch are joined. */
function endOfHunk(changes: readonly LineChange[], first: number): number {
  let index = first;
  for (;;) {
    const [change, next] = [changes[index], changes[++index]];
    if (change === undefined || next === undefined) return Math.min(index, changes.length);
    if (next.at - (change.at + change.removed) > 2 * CONTEXT) return index;
  }
}

function rangeOf(start: number, end: number): string {
  const count = end - start;
  const first = count === 0 ? start : start + 1;
  return count === 1 ? `${first}` : `${first},${count}`;
}

function writeHeader(writer: TextWriter, numbers: string, name: Buffer): void {
  writer.text(numbers);
  if (name.length > 0) {
    writer.text(' ');
    const shown = name.subarray(0, MAX_HEADER_BYTES - numbers.length - 1);
    writer.add(shown.subarray(0, validUtf8Bytes(shown)));
  }
  writer.text('\n');
}

/**
 * Returns the name of the last function above the line `start`; `undefined` if there is none back
 * to a line that was searched before.
 */
async function functionAbove(
  lines: Lines,
  { start, searched }: { readonly start: number; readonly searched: number },
  { rules, slice, signal }: HunkOptions,
): Promise<Buffer | undefined> {
  for (let line = start - 1; line >= searched; line--) {
    if (rules !== undefined && slice.isOverAfterItem()) await slice.pause(signal);
    const text = rules === undefined ? defaultName(lines, line) : nameByRules(lines, line, rules);
    if (text === undefined) continue;
    let end = Math.min(text.length, MAX_FUNCTION_BYTES);
    while (WHITE_SPACE.has(text[end - 1])) end--;
    return text.subarray(0, end);
  }
  return undefined;
}

/** Returns a line that looks like a function name. */
function defaultName(lines: Lines, line: number): Buffer | undefined {
  const first = lines.bytes[lines.starts[line] ?? 0] ?? 0;
  const letter = first | 0x20;
  if (!((letter >= 0x61 && letter <= 0x7a) || first === UNDERSCORE || first === DOLLAR)) return undefined;
  return bytesOfLines(lines, line, line + 1);
}

function nameByRules(lines: Lines, line: number, rules: readonly LineRule[]): Buffer | undefined {
  const text = bytesOfLines(lines, line, line + 1).toString('latin1');
  // Unlike the end of a line, a carriage return alone belongs to it.
  const end = text.endsWith('\r\n') ? -2 : text.endsWith('\n') ? -1 : text.length;
  const name = nameInLine(rules, text.slice(0, end));
  return name === undefined ? undefined : Buffer.from(name, 'latin1');
}

/**
 * Returns the number of bytes before the first that is not UTF-8, by git's rules: it cuts the names
 * of functions there. U+FFFE and U+FFFF are not valid.
 */
function validUtf8Bytes(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const length = lengthOfCharacter(bytes, at);
    if (length === 0) break;
    at += length;
  }
  return at;
}

/** Returns 0 for an invalid character. */
function lengthOfCharacter(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  for (let index = 1; index < length; index++) if (((bytes[at + index] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  const isOverlong = (first === 0xe0 && second < 0xa0) || (first === 0xf0 && second < 0x90);
  const isSurrogate = first === 0xed && second >= 0xa0;
  const isTooHigh = first === 0xf4 && second > 0x8f;
  const isNoCharacter = first === 0xef && second === 0xbf && ((bytes[at + 2] ?? 0) & 0xfe) === 0xbe;
  return isOverlong || isSurrogate || isTooHigh || isNoCharacter ? 0 : length;
}
