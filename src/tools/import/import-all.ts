import { messageOf } from '#base/gitaly-error';
import { CallError } from '#client/index';
import { GitExitError } from '#git/command/process/exit-error';
import { eachConcurrently } from '#object-store/each-concurrently';
import { maskUrlCredentials } from '#platform/log/mask-urls';
import { gitErrorText } from './git-error-text.ts';
import { type Imported, type ImportSettings, importRepository } from './import-repository.ts';
import type { ImportSource } from './source.ts';

/** Receiver of the events of an import, in their order. */
export interface ImportListener {
  onStart(source: ImportSource): void;
  onProgress(source: ImportSource, bytes: number): void;
  onDone(source: ImportSource, result: Imported): void;
  onFailed(source: ImportSource, reason: string): void;
}

export interface ImportTotals {
  imported: number;
  skipped: number;
  failed: number;
  bytes: number;
}

/**
 * Imports all sources, `jobs` at a time. A failure does not stop the others; an abort stops all,
 * and unfinished imports are reverted.
 */
export async function importAll(
  sources: readonly ImportSource[],
  settings: ImportSettings,
  { jobs, signal, listener }: { jobs: number; signal: AbortSignal; listener: ImportListener },
): Promise<ImportTotals> {
  const totals: ImportTotals = { imported: 0, skipped: 0, failed: 0, bytes: 0 };
  await eachConcurrently(sources, jobs, async (source) => {
    if (signal.aborted) return;
    listener.onStart(source);
    try {
      const onProgress = (bytes: number): void => listener.onProgress(source, bytes);
      const result = await importRepository(source, settings, { signal, onProgress });
      totals[result.outcome]++;
      totals.bytes += result.bytes;
      listener.onDone(source, result);
    } catch (error) {
      if (signal.aborted) return; // the caller reports it once
      totals.failed++;
      const advice =
        error instanceof CallError && error.code === 'UNAUTHENTICATED'
          ? ': set GITALY_TOKEN to the token of the server'
          : '';
      listener.onFailed(source, maskUrlCredentials(reasonOf(error) + advice));
    }
  });
  return totals;
}

/** Returns git's own sentence where git failed. */
function reasonOf(error: unknown): string {
  return (error instanceof GitExitError && gitErrorText(error.stderr)) || messageOf(error);
}
