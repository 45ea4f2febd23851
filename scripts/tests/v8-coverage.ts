/** Reads V8's reports of executed code. */
import { readFileSync } from 'node:fs';

/** A function, or with block coverage a part of one, with the number of its executions. */
interface ExecutedRange {
  /** In UTF-16 code units. */
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

/** Functions of one script. */
export interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly functionName: string; readonly ranges: readonly ExecutedRange[] }[];
}

/** Reads the report of a process with `NODE_V8_COVERAGE`: empty if the process was killed meanwhile. */
export function readReport(path: string): readonly ScriptCoverage[] {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { readonly result: readonly ScriptCoverage[] }).result;
  } catch {
    return []; // half a file
  }
}

/** Marks the executed units of a script in `painted`, which has a byte for each. */
export function paintExecuted(painted: Uint8Array, functions: ScriptCoverage['functions']): void {
  const own = new Uint8Array(painted.length);
  // Inner ranges follow outer ones.
  const ranges = functions.flatMap((each) => each.ranges);
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) own.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  for (const [index, isExecuted] of own.entries()) painted[index] ||= isExecuted;
}

/** Returns the starts and ends, in turns, of what is marked. */
export function bordersOf(painted: Uint8Array): number[] {
  const borders: number[] = [];
  let last = 0;
  for (const [index, value] of painted.entries()) {
    if (value !== last) borders.push(index);
    last = value;
  }
  return borders;
}
