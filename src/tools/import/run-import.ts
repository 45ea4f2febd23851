import { tmpdir } from 'node:os';
import { formatShortBytes } from '#base/format-bytes';
import type { Connection } from '#client/index';
import { Git } from '#git/command/git';
import { formatSeconds } from './format-seconds.ts';
import { importAll } from './import-all.ts';
import { ImportReport, type ReportOptions } from './report.ts';
import { gitDirectoryOf, type ImportSource } from './source.ts';
import { estimateBytes } from './source-repository.ts';
import { isUrl } from './url.ts';

export interface RunImportOptions extends Pick<ReportOptions, 'stdout' | 'stderr' | 'sources'> {
  readonly connection: Connection;
  readonly storageName: string;
  /** Number of concurrent imports. */
  readonly jobs: number;
  /** `false` accepts objects that fail git's checks. */
  readonly checkObjects: boolean;
  /** Stops the import; unfinished imports are reverted. */
  readonly signal: AbortSignal;
}

/**
 * Imports repositories and reports the progress.
 *
 * @returns 0 if all of them are in the storage, 1 if one failed or the import was stopped.
 * @throws when there is no usable git.
 */
export async function runImport({
  sources,
  stdout,
  stderr,
  jobs,
  signal,
  ...options
}: RunImportOptions): Promise<number> {
  const git = await Git.start({ binary: 'git' });
  await using sizes = estimateSizes(git, stderr.isTTY === true ? sources : []);
  using report = new ImportReport({ stdout, stderr, sources, sizeOf: (source) => sizes.get(source) });
  const settings = { ...options, git, temporaryDirectory: tmpdir() };
  const { imported, skipped, failed, bytes } = await importAll(sources, settings, {
    jobs,
    signal,
    listener: report,
  });
  const facts = [`${imported} imported`, `${skipped} skipped`, `${failed} failed`, formatShortBytes(bytes)];
  report.say(`${facts.join(', ')} in ${formatSeconds(report.elapsedSeconds)}`);
  if (signal.aborted) {
    const left = sources.length - imported - skipped - failed;
    report.say(
      `Stopped with ${left} of ${sources.length} not imported. Run the same command again to continue.`,
    );
    return 1;
  }
  if (failed > 0) report.say('Run the same command again to retry those that failed; it skips the others.');
  return failed > 0 ? 1 : 0;
}

interface Sizes extends AsyncDisposable {
  /** Returns the size; `undefined` while it is unknown, and for remote sources. */
  get(source: ImportSource): number | undefined;
}

/** Estimates sizes while the import runs, because a thousand repositories take seconds. */
function estimateSizes(git: Git, sources: readonly ImportSource[]): Sizes {
  const sizes = new Map<ImportSource, number>();
  const stop = new AbortController();
  const estimate = async (): Promise<void> => {
    for (const source of sources) {
      const gitDirectory = isUrl(source.location) ? undefined : gitDirectoryOf(source.location);
      if (stop.signal.aborted) return;
      if (gitDirectory !== undefined) sizes.set(source, await estimateBytes(git, gitDirectory, stop.signal));
    }
  };
  const estimated = estimate();
  return {
    get: (source) => sizes.get(source),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await estimated;
    },
  };
}
