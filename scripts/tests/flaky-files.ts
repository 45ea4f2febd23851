import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const FILE = join(import.meta.dirname, '../../.cache/flaky-files.jsonl');
/** Time after which an entry is forgotten: the file was mended since. */
const KEPT_MS = 60 * 24 * 3_600_000;

/** A file that failed, and passed when it was run again. */
interface Entry {
  readonly file: string;
  readonly seed: string;
  readonly commit: string;
  /** ISO 8601. */
  readonly time: string;
}

/** The files of tests that passed only when they were run again, in all runs of a machine. */
export class FlakyFiles {
  readonly #path: string;

  constructor(path = FILE) {
    this.#path = path;
  }

  /** Adds files. @returns the earlier entries of these files, from the last 60 days. */
  add(files: readonly string[], seed: string): readonly Entry[] {
    if (files.length === 0) return [];
    const since = new Date(Date.now() - KEPT_MS).toISOString();
    const earlier = this.#read().filter(({ file, time }) => files.includes(file) && time > since);
    const commit = spawnSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).stdout.trim();
    const time = new Date().toISOString();
    mkdirSync(dirname(this.#path), { recursive: true });
    for (const file of files)
      appendFileSync(this.#path, `${JSON.stringify({ file, seed, commit, time } satisfies Entry)}\n`);
    return earlier;
  }

  #read(): Entry[] {
    if (!existsSync(this.#path)) return [];
    return readFileSync(this.#path, 'utf8').split('\n').flatMap(parseEntry);
  }
}

/** A run that was killed, or a full disk, leaves half a line. */
function parseEntry(line: string): Entry[] {
  try {
    return [JSON.parse(line) as Entry]; // written by `add`
  } catch {
    return [];
  }
}
