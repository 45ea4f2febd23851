import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

/** How the time of an expression grows; `safe` is at most linear. */
export type Verdict = 'safe' | 'polynomial' | 'exponential' | 'unknown';

interface Task {
  readonly source: string;
  readonly flags: string;
}

/** Repetitions without a limit. */
const UNBOUNDED = /[*+]|\{\d+,\}/;

/** Returns the key of an expression in the result of {@link verdictsOf}. */
export function expressionKey({ source, flags }: Task): string {
  return `/${source}/${flags}`;
}

/**
 * Returns how the times of expressions grow, by their keys. recheck decides. The keys of those
 * that it found safe are kept in a file: all of them take more than a minute. Without an unbounded
 * repetition there is nothing to decide.
 */
export async function verdictsOf(tasks: readonly Task[], safeFile: string): Promise<Map<string, Verdict>> {
  const safe = readKeys(safeFile);
  const known = new Map<string, Verdict>(safe.map((key) => [key, 'safe']));
  const missing = new Map(
    tasks
      .filter((task) => UNBOUNDED.test(task.source) && !known.has(expressionKey(task)))
      .map((task) => [expressionKey(task), task]),
  );
  const waiting = [...missing.values()];
  const workers = Array.from({ length: Math.min(availableParallelism(), waiting.length) }, () =>
    runWorker(waiting, known),
  );
  await Promise.all(workers);
  const keys = tasks.filter(({ source }) => UNBOUNDED.test(source)).map(expressionKey);
  const found = [...new Set(keys)].filter((key) => known.get(key) === 'safe').sort();
  if (found.join('\n') !== safe.join('\n')) writeKeys(safeFile, found);
  return new Map(tasks.map((task) => [expressionKey(task), known.get(expressionKey(task)) ?? 'safe']));
}

/** Lets a thread work until no task is left. */
async function runWorker(waiting: Task[], known: Map<string, Verdict>): Promise<void> {
  const worker = new Worker(new URL('./recheck-worker.ts', import.meta.url));
  try {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const { promise, resolve, reject } = Promise.withResolvers<Verdict>();
      worker.once('message', resolve).once('error', reject);
      worker.postMessage(task);
      known.set(expressionKey(task), await promise);
      worker.removeListener('error', reject);
    }
  } finally {
    await worker.terminate();
  }
}

function readKeys(file: string): string[] {
  try {
    // Written below.
    return JSON.parse(readFileSync(file, 'utf8')) as string[];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function writeKeys(file: string, keys: readonly string[]): void {
  writeFileSync(file, `${JSON.stringify(keys, undefined, 2)}\n`);
  console.error(`expressions: ${file} has changed; commit it`);
}
