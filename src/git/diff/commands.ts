import { flag, type GitCommand, type GitOption, gitCommand, value } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { HexLength } from './raw-line.ts';

/** Two revisions, each anything that git compares (commits, trees, blobs by `revision:path`), and pathspecs; no pathspecs mean all files. */
export interface Sides {
  readonly left: Arg;
  readonly right: Arg;
  readonly paths?: readonly Uint8Array[];
}

/** White space that does not count: changes of its amount, or all of it. */
export type IgnoredSpace = 'change' | 'all';

export interface PatchOptions {
  readonly hexLength: HexLength;
  /** Words instead of lines, in git's porcelain form. */
  readonly wordDiff?: boolean;
  readonly ignoredSpace?: IgnoredSpace | undefined;
}

/** Keeps `a/` and `b/` in the headers, which the parsers need, whatever the repository's own settings say. */
export const WITH_PREFIXES = [{ key: 'diff.noprefix', value: 'false' }] as const;

const FLAGS_OF_IGNORED: Readonly<Record<IgnoredSpace, string>> = { change: '--ignore-space-change', all: '--ignore-all-space' };

/** For {@link parseDiff}. Renames are found at 30 % similarity. @throws {GitalyError} for words that git must not see, as all of these. */
export function patchCommand(sides: Sides, options: PatchOptions): GitCommand {
  return compare('diff', sides, [flag('--patch'), flag('--raw'), ...renameFlags(options), ...spaceFlags(options.ignoredSpace)]);
}

/** The same as {@link patchCommand} prints, for pairs of trees that come from standard input, a line each; other lines are printed as they are. */
export function patchesCommand(hexLength: HexLength): GitCommand {
  const options = [flag('-r'), flag('--stdin'), flag('--patch'), flag('--raw'), ...renameFlags({ hexLength })];
  return gitCommand('diff-tree', { options });
}

/** The same files as {@link patchCommand} lists without ignored space, for {@link parseRawRecords}. */
export function changedFilesCommand(sides: Sides, options: PatchOptions): GitCommand {
  return compare('diff-tree', sides, [flag('-r'), flag('-z'), ...renameFlags(options)]);
}

/** Files without patches, for {@link parseRawRecords}. Renames are found at 50 % similarity. */
export function rawCommand(sides: Sides, hexLength: HexLength): GitCommand {
  const options = [flag('--raw'), flag('-z'), flag(`--abbrev=${hexLength}`), flag('--full-index'), flag('--find-renames')];
  return compare('diff', sides, options);
}

/** For {@link parseNumstat}. */
export function numstatCommand(sides: Sides, options: { literalPathspecs?: boolean } = {}): GitCommand {
  return compare('diff', sides, [flag('--numstat'), flag('-z')], options);
}

/** `git diff` as text, `contextLines` fewer than usual around changes. */
export function textCommand(sides: Sides, { contextLines }: { contextLines?: number } = {}): GitCommand {
  const context = contextLines === undefined ? [] : [flag(`-U${contextLines}`)];
  return compare('diff', sides, [flag('--full-index'), ...context]);
}

/** The commits of a range as mails, also those that change nothing (newer gits do so by themselves). */
export function mailsCommand({ left, right }: Sides): GitCommand {
  const options = [flag('--stdout'), value('--signature', 'GitLab'), flag('--always')];
  return gitCommand('format-patch', { options, revisions: [Buffer.concat([bytesOf(left), Buffer.from('..'), bytesOf(right)])] });
}

/** One blob against another, for {@link parseDiff}. */
export function blobCommand(sides: Sides, { hexLength, wordDiff = false }: PatchOptions): GitCommand {
  return compare('diff', sides, [flag('--patch-with-raw'), flag(`--abbrev=${hexLength}`), ...wordFlags(wordDiff)]);
}

/** Flags that change what a patch looks like. */
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
  return [flag('--find-renames=30%'), flag(`--abbrev=${hexLength}`), flag('--full-index'), ...wordFlags(wordDiff)];
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
