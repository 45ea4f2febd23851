import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILE = join(import.meta.dirname, '../../.cache/test-durations.json');
/** For files that have never run: those that start servers come first, and short ones are left. */
const UNKNOWN_MS = 5000;
const UNKNOWN_SERVER_MS = 20_000;
const STARTS_SERVERS = /^test\//;

/** How long files of tests took when they last ran, in milliseconds. */
export class Durations {
  readonly #path: string;
  readonly #known: Record<string, number>;

  constructor(path = FILE) {
    this.#path = path;
    this.#known = read(path);
  }

  /**
   * Returns files with the longest first, so that none of these is the last to end. Unknown ones
   * are spread: neighbours in a folder often all compute, or all wait.
   */
  longestFirst(files: readonly string[]): string[] {
    const durationOf = (file: string): number =>
      this.#known[file] ?? (STARTS_SERVERS.test(file) ? UNKNOWN_SERVER_MS : UNKNOWN_MS);
    return spread(files).sort((a, b) => durationOf(b) - durationOf(a));
  }

  add(file: string, durationMs: number): void {
    this.#known[file] = Math.round(durationMs);
  }

  save(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(this.#known));
  }
}

/** Returns files in an order that spreads those of each folder evenly. */
function spread(files: readonly string[]): string[] {
  const folders = Object.values(Object.groupBy(files, dirname)).map((folder = []) => folder);
  return folders
    .flatMap((folder) => folder.map((file, index) => ({ file, place: (index + 0.5) / folder.length })))
    .sort((a, b) => a.place - b.place)
    .map(({ file }) => file);
}

function read(path: string): Record<string, number> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, number>; // written by `save`
  } catch {
    return {}; // the first run, or one that was killed while it wrote
  }
}
