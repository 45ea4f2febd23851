import { formatShortBytes } from '#base/format-bytes';
import { ProgressLine } from '#tools/progress-line';
import { collectLfs, type LfsCollection } from '#tools/repo/collect-lfs';
import { printResult, type ToolResult } from '../commands/tool-command.ts';
import { lfsStoreUrl } from '../lfs-store-url.ts';
import { openServer, UsageError } from '../serve/open-server.ts';
import type { RepoConsole, RepoOptions } from './repo.ts';

export interface CollectLfsCommandOptions extends RepoOptions {
  /** URL of the store. */
  readonly store?: string;
  readonly dryRun?: boolean;
  readonly orphans?: boolean;
}

/** Runs `gitaly-ts repo gc-lfs`: removes the files of Git LFS that no history names. */
export function collectLfsFiles(options: CollectLfsCommandOptions, on: RepoConsole): Promise<number> {
  const work = async (): Promise<ToolResult> => {
    const { dryRun: isDryRun = false, orphans = false, to } = options;
    const url = options.store ?? (await lfsStoreUrl(to));
    if (url === undefined)
      throw new UsageError('the store of Git LFS is not known: name it with --store URL');
    await using target = await openServer(to, '--to');
    let state: Readonly<LfsCollection> | undefined;
    using _progress = new ProgressLine(on.stderr, () =>
      state === undefined
        ? 'Reading the repositories'
        : `${state.files} files, ${state.removedFiles} removed`,
    );
    const collection = await collectLfs({
      ...{ connection: target.connection, storeUrl: url, isDryRun, removesOrphans: orphans },
      nowMs: Date.now(),
      signal: new AbortController().signal,
      onProgress: (now) => {
        state = now;
      },
    });
    const lines = linesOf(collection, isDryRun);
    const { unreadable } = collection;
    if (unreadable.length > 0)
      throw new Error(`${lines[0]}; files are kept, as these cannot be read: ${unreadable.join('; ')}`);
    return { json: collection, lines };
  };
  const isUsage = (error: unknown): boolean => error instanceof UsageError;
  return printResult(work, { group: 'repo', json: options.json, on, isUsage });
}

function linesOf(
  { files, orphanBytes, orphanFiles, removedBytes, removedFiles }: LfsCollection,
  isDryRun: boolean,
): string[] {
  const verb = isDryRun ? 'would remove' : 'removed';
  const lines = [`${verb} ${removedFiles} of ${files} files, ${formatShortBytes(removedBytes)}`];
  if (orphanFiles > 0)
    lines.push(
      `kept ${orphanFiles} files, ${formatShortBytes(orphanBytes)}, that belong to no repository of this ` +
        'server: --orphans removes them, if no other server uses the store',
    );
  return lines;
}
