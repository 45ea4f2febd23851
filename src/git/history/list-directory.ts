import { GitalyError } from '#base/gitaly-error';
import type { CommandRepository } from '../command/command-repository.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import { outputLines } from '../command/output-lines.ts';

/** An entry as listed by `git ls-tree`. */
export interface ListedEntry {
  readonly type: string;
  /** Path from the root. */
  readonly path: Buffer;
}

const TAB = 0x09;

/**
 * Lists a path as `git ls-tree` does: the entries of a directory if the path ends with a slash,
 * otherwise the entry itself.
 *
 * @throws {GitExitError} when there is no such revision, or the path leads out of the repository.
 */
export async function listDirectory(
  repository: CommandRepository,
  { revision, path, literalPathspecs }: { revision: string; path: Uint8Array; literalPathspecs: boolean },
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ListedEntry[]> {
  const options = [flag('-z'), flag('--full-name')];
  const command = gitCommand('ls-tree', { options, revisions: [revision], paths: [path], literalPathspecs });
  const entries: ListedEntry[] = [];
  for await (const records of outputLines(repository, command, { signal, delimiter: 0 })) {
    for (const record of records) entries.push(parseRecord(record));
  }
  return entries;
}

/** Parses `<mode> <type> <oid>\t<path>`. */
function parseRecord(record: Buffer): ListedEntry {
  const tab = record.indexOf(TAB);
  const type = record.toString('latin1', 0, Math.max(tab, 0)).split(' ')[1];
  if (tab === -1 || type === undefined) throw new GitalyError('UNKNOWN', 'malformed output of git ls-tree');
  return { type, path: record.subarray(tab + 1) };
}
