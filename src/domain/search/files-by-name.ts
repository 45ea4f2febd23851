import { GitalyError } from '#base/gitaly-error';
import { textOfUtf8 } from '#base/go/encoding/utf8';
import type { GoRegexp } from '#base/go/regexp/go-regexp';
import { LoopSlice } from '#base/loop-turns';
import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import type { Repository } from '#storage/repository';

export interface NameQuery {
  /** A file or directory; `.` for all files. */
  readonly query: string;
  readonly ref: Buffer;
  /** Matches the requested paths; `undefined` accepts all. */
  readonly filter: GoRegexp | undefined;
  /** Accepted paths that are left out at the beginning. */
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
  { query, ref, filter, offset, limit }: NameQuery,
  { signal, log }: NameOptions,
): Promise<Buffer[]> {
  const options = [flag('--full-tree'), flag('--name-status'), flag('-r'), flag('-z')];
  const command = gitCommand('ls-tree', { options, args: [ref], paths: [query] });
  const lines = outputLines(repository, command, { signal, delimiter: 0 });
  const files: Buffer[] = [];
  const slice = new LoopSlice();
  let skipped = 0;
  let bytes = 0;
  for await (const paths of ignoringGitFailure(lines, log)) {
    for (const path of paths) {
      await slice.pause(signal);
      if (filter?.test(textOfUtf8(path)) === false) continue;
      if (skipped++ < offset) continue;
      bytes += path.length + ENTRY_BYTES;
      if (bytes > MAX_LIST_BYTES)
        throw new GitalyError('RESOURCE_EXHAUSTED', `the list exceeds ${MAX_LIST_BYTES} bytes`);
      // A copy, because a view holds git's whole output.
      files.push(Buffer.from(path));
      if (limit > 0 && files.length === limit) return files;
    }
  }
  return files;
}
