import { FallBackToGit } from '../in-process.ts';

/** Limit of lines of a file: splitting more takes several milliseconds. */
export const MAX_LINES = 5_000;
const LINE_FEED = 0x0a;

/** A file as lines. Equal lines have equal ids; a last line without a line feed differs. */
export interface Lines {
  readonly bytes: Buffer;
  readonly ids: Uint32Array;
  /** Position of each line, and the end of the file. */
  readonly starts: Uint32Array;
}

/** Assigns ids to lines, the same in all files that it splits. */
export class LineSplitter {
  readonly #ids = new Map<string, number>();

  /** Number of different lines so far. */
  get count(): number {
    return this.#ids.size;
  }

  /** @throws {FallBackToGit} for very many lines. */
  split(bytes: Buffer): Lines {
    const ids: number[] = [];
    const starts: number[] = [];
    for (let start = 0; start < bytes.length; ) {
      const end = bytes.indexOf(LINE_FEED, start) + 1 || bytes.length;
      starts.push(start);
      ids.push(this.#idOf(bytes.toString('latin1', start, end)));
      start = end;
      if (ids.length > MAX_LINES) throw new FallBackToGit('a file has very many lines');
    }
    starts.push(bytes.length);
    return { bytes, ids: Uint32Array.from(ids), starts: Uint32Array.from(starts) };
  }

  #idOf(line: string): number {
    const known = this.#ids.get(line);
    if (known !== undefined) return known;
    const id = this.#ids.size;
    this.#ids.set(line, id);
    return id;
  }
}

/** Returns the bytes of the lines from one up to another, as a view. */
export function bytesOfLines({ bytes, starts }: Lines, from: number, to: number): Buffer {
  return bytes.subarray(starts[from], starts[to]);
}
