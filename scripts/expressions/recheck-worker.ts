/** Checks the expressions that check-expressions.ts sends, one after the other, in JavaScript. */
import { parentPort } from 'node:worker_threads';
import type { Verdict } from './verdicts.ts';

process.env.RECHECK_BACKEND = 'pure';
const { checkSync } = await import('recheck');
/** Time for one expression; most take some milliseconds of a processor that may be busy. */
const TIMEOUT_MS = 60_000;

parentPort?.on('message', ({ source, flags }: { readonly source: string; readonly flags: string }) => {
  parentPort?.postMessage(verdictOf(source, flags));
});

function verdictOf(source: string, flags: string): Verdict {
  // `d`, `g` and `v` change nothing here, and recheck does not know all of them.
  const known = flags.replaceAll(/[^imsuy]/g, '');
  const result = checkSync(source, known, { timeout: TIMEOUT_MS, randomSeed: 1 });
  return result.status === 'vulnerable' ? result.complexity.type : result.status;
}
