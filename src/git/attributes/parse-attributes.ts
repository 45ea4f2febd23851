import { LoopSlice } from '#base/async/loop-turns';
import { unquotePath } from '../names/unquote-path.ts';
import { compileWildmatch, firstWildcard, type MatchWork } from '../names/wildmatch.ts';

export type AttributeState = 'set' | 'unset' | 'unspecified' | { readonly value: string };

export interface AttributeAssignment {
  readonly name: string;
  readonly state: AttributeState;
}

/** Positions in a path. */
export interface PathPositions {
  /** Position after the directory of the attributes file. */
  readonly base: number;
  /** Position after the last slash. */
  readonly name: number;
}

export interface AttributeLine {
  /**
   * Reports whether the line applies to a path, and adds the cost to `work`. `undefined` in a
   * macro.
   */
  readonly matches: ((path: Buffer, at: PathPositions, work: MatchWork) => boolean) | undefined;
  /** The shell pattern, for an estimate of git's cost. Empty if git compares only names. */
  readonly wildcards: Buffer;
  /** The name that a macro defines. */
  readonly macro: string | undefined;
  readonly assignments: readonly AttributeAssignment[];
}

/** Longer lines are ignored. @see git: attr.c, ATTR_MAX_LINE_LENGTH */
const MAX_LINE_BYTES = 2048;
const BLANK = /[ \t\r\n]+/;
const NAME = /^[A-Za-z0-9_.][-A-Za-z0-9_.]*$/;
const MACRO = '[attr]';
/** A pattern in quotes; with other escapes, git takes the quotes for a part of the pattern. */
const QUOTED = /^"(?:[^"\\]|\\(?:[abfnrtv"\\]|[0-3][0-7]{2}))*"/;
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';
/**
 * Longer names match no pattern with wildcards: no file system can hold such a file, and a match
 * costs the length of the pattern times that of the name. @see limits.h, PATH_MAX
 */
const MAX_NAME_BYTES = 4096;
const STAR = 0x2a;
const NO_BYTES = Buffer.alloc(0);

/** Options of a file: macros are allowed in the top directory and in `info/attributes`. */
interface FileOptions {
  readonly allowMacros: boolean;
}

/**
 * Parses an attributes file, in the order of its lines. Lines that git ignores with a warning are
 * omitted. Blocks the event loop for the whole file.
 */
export function parseAttributes(file: Buffer, { allowMacros }: FileOptions): AttributeLine[] {
  return [...linesOf(file)].flatMap((line) => parseLine(line, allowMacros) ?? []);
}

/** Parses as {@link parseAttributes} does, in slices of the event loop. @throws the signal's reason. */
export async function parseAttributesInTurns(
  file: Buffer,
  { allowMacros, signal }: FileOptions & { readonly signal?: AbortSignal | undefined },
): Promise<AttributeLine[]> {
  const lines: AttributeLine[] = [];
  const slice = new LoopSlice();
  for (const line of linesOf(file)) {
    const parsed = parseLine(line, allowMacros);
    if (parsed !== undefined) lines.push(parsed);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return lines;
}

/** Returns the lines, one character per byte, so that patterns stay bytes. A NUL ends a line for git. */
function* linesOf(file: Buffer): Generator<string, void> {
  const text = file.toString('latin1');
  for (let start = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0; start < text.length; ) {
    const lf = text.indexOf('\n', start);
    const end = lf === -1 ? text.length : lf;
    const [line = ''] = text.slice(start, end).split('\0', 1);
    yield line;
    start = end + 1;
  }
}

function parseLine(line: string, allowMacros: boolean): AttributeLine | undefined {
  const trimmed = line.replace(/^[ \t\r\n]+/, '');
  if (trimmed === '' || trimmed.startsWith('#') || line.length >= MAX_LINE_BYTES) return undefined;
  const quoted = QUOTED.exec(trimmed)?.[0];
  const unquoted = quoted === undefined ? undefined : unquotePath(Buffer.from(quoted, 'latin1'));
  const length =
    unquoted === undefined || quoted === undefined ? trimmed.search(/[ \t\r\n]|$/) : quoted.length;
  const pattern = unquoted?.toString('latin1') ?? trimmed.slice(0, length);
  const rest = trimmed.slice(length);
  const assignments = parseAssignments(rest.split(BLANK).filter((word) => word !== ''));
  if (assignments === undefined) return undefined;
  if (pattern.startsWith(MACRO) && pattern.length > MACRO.length) {
    const macro = pattern.slice(MACRO.length);
    return allowMacros && NAME.test(macro)
      ? { matches: undefined, wildcards: NO_BYTES, macro, assignments }
      : undefined;
  }
  const [untilNul = ''] = pattern.split('\0', 1); // an escape may be a NUL
  const matcher = matcherOf(untilNul);
  return matcher && { ...matcher, macro: undefined, assignments };
}

/** Parses assignments; `undefined` if one is invalid, because git then ignores the whole line. */
function parseAssignments(words: readonly string[]): AttributeAssignment[] | undefined {
  const assignments: AttributeAssignment[] = [];
  for (const word of words) {
    const sign = word.startsWith('-') || word.startsWith('!') ? word[0] : '';
    const equals = word.indexOf('=');
    const name = word.slice(sign === '' ? 0 : 1, equals === -1 ? undefined : equals);
    if (!NAME.test(name) || name.startsWith('builtin_')) return undefined;
    assignments.push({ name, state: stateOf(sign, equals === -1 ? undefined : word.slice(equals + 1)) });
  }
  return assignments;
}

function stateOf(sign: string | undefined, value: string | undefined): AttributeState {
  if (sign === '-') return 'unset';
  if (sign === '!') return 'unspecified';
  return value === undefined ? 'set' : { value };
}

/**
 * Compiles a pattern; `undefined` for patterns that match no file: those that begin with `!`, and
 * those of directories.
 */
function matcherOf(pattern: string): Required<Pick<AttributeLine, 'matches' | 'wildcards'>> | undefined {
  if (pattern.startsWith('!') || pattern.endsWith('/')) return undefined;
  const pathname = pattern.includes('/');
  const bytes = Buffer.from(pattern.replace(/^\//, ''), 'latin1');
  const start = pathname ? 'base' : 'name';
  const wildcard = firstWildcard(bytes);
  // The two most common kinds of patterns need no matcher.
  if (wildcard === -1) {
    return { wildcards: NO_BYTES, matches: (path, at) => endsWith(path, bytes, at[start]) };
  }
  const end = bytes.subarray(1);
  if (!pathname && bytes[0] === STAR && firstWildcard(end) === -1) {
    return {
      wildcards: NO_BYTES,
      matches: (path, { name }) => path.length - end.length >= name && endsWith(path, end),
    };
  }
  const matches = compileWildmatch(bytes, { pathname });
  return {
    wildcards: bytes,
    matches: (path, { [start]: at }, work) =>
      path.length - at <= MAX_NAME_BYTES && matches(path.subarray(at), work),
  };
}

/**
 * Reports whether a path ends with bytes that start at `at`; without `at`, whether it ends with
 * them anywhere.
 */
function endsWith(path: Buffer, bytes: Buffer, at = path.length - bytes.length): boolean {
  return at >= 0 && at + bytes.length === path.length && bytes.compare(path, at) === 0;
}
