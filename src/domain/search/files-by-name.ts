import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { textOfUtf8 } from '#base/go/encoding/utf8';
import type { GoRegexp } from '#base/go/regexp/go-regexp';
import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import { filePaths } from '#git/trees/file-paths';
import type { Repository } from '#storage/repository';

export interface NameQuery {
  /** A file or directory; `.` for all files. */
  readonly query: string;
  readonly ref: Buffer;
  /** Matches the requested paths; `undefined` accepts all. */
  readonly filter: GoRegexp | undefined;
  /** Number of accepted paths that are skipped at the beginning. */
  readonly offset: number;
  /** Number of paths; 0 for all. */
  readonly limit: number;
}

export interface NameOptions {
  readonly signal: AbortSignal;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/** Limit of a list, which is one message. A million paths are some 60 MB. */
const MAX_LIST_BYTES = 256 << 20;
/** Cost of an entry of the list in addition to its bytes. */
const ENTRY_BYTES = 64;

/**
 * Lists the files of a revision at or below a path, in git's order. A revision that does not exist
 * has no files.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED for a list that is too long for a message.
 */
export async function filesByName(
  repository: Repository,
  query: NameQuery,
  { signal, log }: NameOptions,
): Promise<Buffer[]> {
  return await repository.inProcess.attempt(
    'list_files',
    () => {
      const place = { revision: query.ref, path: Buffer.from(query.query) };
      return select(filePaths(repository, place, { signal }), query, signal);
    },
    () => select(ignoringGitFailure(pathsOfGit(repository, query, signal), log), query, signal),
  );
}

/** Yields copies of the paths that git lists: a view would keep git's whole output in memory. */
async function* pathsOfGit(
  repository: Repository,
  { query, ref }: NameQuery,
  signal: AbortSignal,
): AsyncGenerator<Buffer[]> {
  const options = [flag('--full-tree'), flag('--name-status'), flag('-r'), flag('-z')];
  const command = gitCommand('ls-tree', { options, args: [ref], paths: [query] });
  for await (const lines of outputLines(repository, command, { signal, delimiter: 0 }))
    yield lines.map((line) => Buffer.from(line));
}

/** Returns the requested paths, and stops reading after the last one. */
async function select(
  batches: AsyncIterable<Buffer[]>,
  { filter, offset, limit }: NameQuery,
  signal: AbortSignal,
): Promise<Buffer[]> {
  const files: Buffer[] = [];
  const slice = new LoopSlice();
  let skipped = 0;
  let bytes = 0;
  for await (const paths of batches) {
    for (const path of paths) {
      await slice.pause(signal);
      if (filter?.test(textOfUtf8(path)) === false) continue;
      if (skipped++ < offset) continue;
      bytes += path.length + ENTRY_BYTES;
      if (bytes > MAX_LIST_BYTES)
        throw new GitalyError('RESOURCE_EXHAUSTED', `the list exceeds ${MAX_LIST_BYTES} bytes`);
      files.push(path);
      if (limit > 0 && files.length === limit) return files;
    }
  }
  return files;
}
