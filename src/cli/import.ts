import { availableParallelism } from 'node:os';
import { messageWithHint } from '#base/gitaly-error';
import { listenForStop } from '#platform/process/signals';
import { collectSources } from '#tools/import/collect-sources';
import { runImport } from '#tools/import/run-import';
import { SourceError } from '#tools/import/source';
import { openServer } from './serve/open-server.ts';

export interface ImportOptions {
  readonly to: string;
  readonly storage: string;
  readonly name?: string;
  readonly prefix?: string;
  readonly list?: string;
  readonly recursive?: boolean;
  readonly jobs?: string;
  readonly fsck: boolean;
}

const MAX_JOBS = 64;
/** Half of the cores, because a server on the same machine needs the other half. */
const DEFAULT_JOBS = Math.max(1, Math.min(4, Math.floor(availableParallelism() / 2)));

/**
 * Runs `gitaly-ts import`. Resolves to the exit code: 0 if all are imported, 1 after a failure or a
 * signal, 2 for wrong usage.
 */
export async function runImportCommand(
  locations: readonly string[],
  options: ImportOptions,
): Promise<number> {
  process.title = 'gitaly-ts';
  using signals = listenForStop();
  signals.force.addEventListener('abort', () => process.exit(1), { once: true });
  let unreadable = 0;
  const onUnreadable = (path: string, reason: string): void => {
    unreadable++;
    process.stderr.write(`failed    ${path}  cannot be read: ${reason}\n`);
  };
  try {
    const jobs = jobsOf(options.jobs);
    const sources = await collectSources({ ...options, locations, onUnreadable });
    await using target = await openServer(options.to, '--to', { isMade: true });
    const code = await runImport({
      sources,
      connection: target.connection,
      storageName: options.storage,
      jobs,
      checkObjects: options.fsck,
      stdout: process.stdout,
      stderr: process.stderr,
      signal: signals.stop,
    });
    return unreadable > 0 ? 1 : code;
  } catch (error) {
    process.stderr.write(`gitaly-ts import: ${messageWithHint(error)}\n`);
    return error instanceof SourceError ? 2 : 1;
  }
}

/** Parses the number of jobs. @throws {SourceError} */
function jobsOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_JOBS;
  const jobs = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (jobs < 1 || jobs > MAX_JOBS)
    throw new SourceError(`--jobs ${text}: expected a number from 1 to ${MAX_JOBS}`);
  return jobs;
}
