import { outputBytes } from '#git/command/output-bytes';
import { numstatCommand, type Sides } from '#git/diff/commands';
import { type FileStat, parseNumstat } from '#git/diff/numstat';
import type { Repository } from '#storage/repository';
import { checked } from './diff-failure.ts';
import { headAttributes } from './head-attributes.ts';

export interface FileStatsOptions {
  readonly signal: AbortSignal;
  /** Treats the paths of the sides as names instead of patterns. */
  readonly literalPathspecs?: boolean;
}

/**
 * Counts the added and removed lines of each file between two revisions, in git's order, with the
 * attributes of HEAD.
 *
 * @throws {GitalyError} `cmd: …` for a revision that git must not receive; {GitExitError}
 *   {DiffFormatError}.
 */
export async function* fileStats(
  repository: Repository,
  sides: Sides,
  { signal, literalPathspecs = false }: FileStatsOptions,
): AsyncGenerator<readonly FileStat[]> {
  const command = checked(() => numstatCommand(sides, { literalPathspecs }));
  await using attributes = await headAttributes(repository, { signal });
  const { config } = attributes;
  yield* parseNumstat(outputBytes(repository, command, { signal, config }));
}
