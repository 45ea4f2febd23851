import { flag, type GitCommand, type GitOption, gitCommand, value } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { OidDigits } from '../names/object-id.ts';

/**
 * Two revisions, each any object that git compares (commits, trees, blobs by `revision:path`), and
 * pathspecs; no pathspecs mean all files.
 */
export interface Sides {
  readonly left: Arg;
  readonly right: Arg;
  readonly paths?: readonly Uint8Array[];
}

/** Ignored white space: changes of its amount, or all of it. */
export type IgnoredSpace = 'change' | 'all';

export interface PatchOptions {
  readonly hexLength: OidDigits;
  /** Compares words instead of lines, in git's porcelain format. */
  readonly wordDiff?: boolean;
  readonly ignoredSpace?: IgnoredSpace | undefined;
}

/**
 * Setting that keeps `a/` and `b/` in the headers, which the parsers need, whatever the repository
 * configures.
 */
export const WITH_PREFIXES = [{ key: 'diff.noprefix', value: 'false' }] as const;

const FLAGS_OF_IGNORED: Readonly<Record<IgnoredSpace, string>> = {
  change: '--ignore-space-change',
  all: '--ignore-all-space',
};

/**
 * Returns the command for {@link parseDiff}. Renames are found at 30 % similarity. @throws
 * {GitalyError} for words that git must not receive, like all functions of this file.
 */
export function patchCommand(sides: Sides, options: PatchOptions): GitCommand {
  return compare('diff', sides, [
    flag('--patch'),
    flag('--raw'),
    ...renameFlags(options),
    ...spaceFlags(options.ignoredSpace),
  ]);
}

/**
 * Returns a command with the output of {@link patchCommand} for pairs of trees from standard input,
 * one per line; other lines are copied to the output.
 */
export function patchesCommand(hexLength: OidDigits): GitCommand {
  const options = [
    flag('-r'),
    flag('--stdin'),
    flag('--patch'),
    flag('--raw'),
    ...renameFlags({ hexLength }),
  ];
  return gitCommand('diff-tree', { options });
}

/**
 * Returns a command, for {@link parseRawRecords}, that lists the files of {@link patchCommand}
 * without ignored space.
 */
export function changedFilesCommand(sides: Sides, options: PatchOptions): GitCommand {
  return compare('diff-tree', sides, [flag('-r'), flag('-z'), ...renameFlags(options)]);
}

/**
 * Returns a command for files without patches, for {@link parseRawRecords}. Renames are found at 50
 * % similarity.
 */
export function rawCommand(sides: Sides, hexLength: OidDigits): GitCommand {
  const options = [
    flag('--raw'),
    flag('-z'),
    flag(`--abbrev=${hexLength}`),
    flag('--full-index'),
    flag('--find-renames'),
  ];
  return compare('diff', sides, options);
}

/** Returns the command for {@link parseNumstat}. */
export function numstatCommand(sides: Sides, options: { literalPathspecs?: boolean } = {}): GitCommand {
  return compare('diff', sides, [flag('--numstat'), flag('-z')], options);
}

/**
 * Returns the command for `git diff` as text, with `contextLines` fewer lines than usual around
 * changes.
 */
export function textCommand(sides: Sides, { contextLines }: { contextLines?: number } = {}): GitCommand {
  const context = contextLines === undefined ? [] : [flag(`-U${contextLines}`)];
  return compare('diff', sides, [flag('--full-index'), ...context]);
}

/**
 * Returns the command for the commits of a range as mails, including empty ones (newer gits include
 * them by default).
 */
export function mailsCommand({ left, right }: Sides): GitCommand {
  const options = [flag('--stdout'), value('--signature', 'GitLab'), flag('--always')];
  return gitCommand('format-patch', {
    options,
    revisions: [Buffer.concat([bytesOf(left), Buffer.from('..'), bytesOf(right)])],
  });
}

/** Returns the command that compares two blobs, for {@link parseDiff}. */
export function blobCommand(sides: Sides, { hexLength, wordDiff = false }: PatchOptions): GitCommand {
  return compare('diff', sides, [
    flag('--patch-with-raw'),
    flag(`--abbrev=${hexLength}`),
    ...wordFlags(wordDiff),
  ]);
}

/** Returns flags that change the format of a patch. */
export function patchFlags({ wordDiff = false, ignoredSpace }: Omit<PatchOptions, 'hexLength'>): GitOption[] {
  return [...spaceFlags(ignoredSpace), ...wordFlags(wordDiff)];
}

function compare(
  name: 'diff' | 'diff-tree',
  { left, right, paths = [] }: Sides,
  options: readonly GitOption[],
  { literalPathspecs = false }: { literalPathspecs?: boolean } = {},
): GitCommand {
  return gitCommand(name, { options, revisions: [left, right], paths, literalPathspecs });
}

function renameFlags({ hexLength, wordDiff = false }: PatchOptions): GitOption[] {
  return [
    flag('--find-renames=30%'),
    flag(`--abbrev=${hexLength}`),
    flag('--full-index'),
    ...wordFlags(wordDiff),
  ];
}

function wordFlags(wordDiff: boolean): GitOption[] {
  return wordDiff ? [flag('--word-diff=porcelain')] : [];
}

function spaceFlags(ignored: IgnoredSpace | undefined): GitOption[] {
  return ignored === undefined ? [] : [flag(FLAGS_OF_IGNORED[ignored])];
}

function bytesOf(word: Arg): Uint8Array {
  return typeof word === 'string' ? Buffer.from(word) : word;
}
