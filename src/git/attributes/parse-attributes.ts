import { unquotePath } from '../diff/unquote-path.ts';
import { compileWildmatch } from '../refs/wildmatch.ts';

/** What a line says of an attribute: `set`, `-unset`, `!unspecified`, or a value of its own. */
export type AttributeState = 'set' | 'unset' | 'unspecified' | { readonly value: string };

export interface AttributeAssignment {
  readonly name: string;
  readonly state: AttributeState;
}

/** A line of an attributes file. */
export interface AttributeLine {
  /** Whether the line is about a path, given without the directory of the file and with its start marked. `undefined` in a macro. */
  readonly matches: ((path: Buffer, baseAt: number) => boolean) | undefined;
  /** The name that a macro defines. */
  readonly macro: string | undefined;
  readonly assignments: readonly AttributeAssignment[];
}

/** Lines of this length or more are not looked at. @see git: attr.c, ATTR_MAX_LINE_LENGTH */
const MAX_LINE_BYTES = 2048;
const BLANK = /[ \t\r\n]+/;
const NAME = /^[A-Za-z0-9_.][-A-Za-z0-9_.]*$/;
const MACRO = '[attr]';
const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';
const SLASH = 0x2f;

/**
 * Reads an attributes file, in the order of its lines. Lines that git finds odd are left out, as git does with a warning.
 *
 * @param allowMacros macros count in the top directory and in `info/attributes` only.
 */
export function parseAttributes(file: Buffer, { allowMacros }: { readonly allowMacros: boolean }): AttributeLine[] {
  // One character per byte, so that patterns stay bytes.
  const text = file.toString('latin1');
  const start = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
  return text
    .slice(start)
    .split('\n')
    .flatMap((line) => parseLine(line, allowMacros) ?? []);
}

function parseLine(line: string, allowMacros: boolean): AttributeLine | undefined {
  const trimmed = line.replace(/^[ \t\r\n]+/, '');
  if (trimmed === '' || trimmed.startsWith('#') || line.length >= MAX_LINE_BYTES) return undefined;
  const quoted = trimmed.startsWith('"') ? /^"(?:[^"\\]|\\.)*"/.exec(trimmed)?.[0] : undefined;
  const unquoted = quoted === undefined ? undefined : unquotePath(Buffer.from(quoted, 'latin1'));
  const length = unquoted === undefined || quoted === undefined ? trimmed.search(/[ \t\r\n]|$/) : quoted.length;
  const pattern = unquoted?.toString('latin1') ?? trimmed.slice(0, length);
  const rest = trimmed.slice(length);
  const assignments = parseAssignments(rest.split(BLANK).filter((word) => word !== ''));
  if (assignments === undefined) return undefined;
  if (pattern.startsWith(MACRO) && pattern.length > MACRO.length) {
    const macro = pattern.slice(MACRO.length);
    return allowMacros && NAME.test(macro) ? { matches: undefined, macro, assignments } : undefined;
  }
  const matches = matcherOf(pattern);
  return matches && { matches, macro: undefined, assignments };
}

/** `undefined` when one of the words is none: git does not take the line at all then. */
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

/** `undefined` for patterns that match no file: those with a `!` in front, and those of directories. */
function matcherOf(pattern: string): AttributeLine['matches'] {
  if (pattern.startsWith('!') || pattern.endsWith('/')) return undefined;
  if (!pattern.includes('/')) {
    const matches = compileWildmatch(Buffer.from(pattern, 'latin1'));
    return (path) => matches(path.subarray(path.lastIndexOf(SLASH) + 1));
  }
  const matches = compileWildmatch(Buffer.from(pattern.replace(/^\//, ''), 'latin1'), { pathname: true });
  return (path, baseAt) => matches(path.subarray(baseAt));
}
