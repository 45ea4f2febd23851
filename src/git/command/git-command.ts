import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { validateRevision } from '../names/validate-revision.ts';
import { isSubcommand, SUBCOMMANDS, type SubcommandName, subcommand } from './allowed.ts';
import type { Arg } from './spawner/spawner.ts';

/**
 * A checked option: one or two words of the command line. Created by {@link flag} and {@link
 * value}.
 */
export interface GitOption {
  readonly name: string;
  readonly words: readonly Arg[];
}

/** The parts of a git command as data. */
export interface GitCommandOptions {
  /** A word after the subcommand that git treats as a verb (`bundle create`, `remote prune`). */
  readonly action?: string;
  readonly options?: readonly GitOption[];
  /** Positional words; none may start with a dash. */
  readonly args?: readonly Arg[];
  /**
   * Positional revisions, after `args`. No half of one (`a..b`, `^a`) may start with a dash, except
   * that `rev-list` accepts `--all`, `--not`, `--branches=…`.
   */
  readonly revisions?: readonly Arg[];
  /** Words after `--`: paths or patterns, unchanged. */
  readonly paths?: readonly Arg[];
  /**
   * Ends the words with `--` even without paths, so that git never treats an unknown revision as a
   * file.
   */
  readonly endOfRevisions?: boolean;
  /** Treats `paths` as literal names instead of patterns. */
  readonly literalPathspecs?: boolean;
}

/**
 * A checked git command, created only by {@link gitCommand}. Its repository and configuration are
 * set when it is started.
 */
export interface GitCommand {
  readonly name: SubcommandName;
  readonly action: string | undefined;
  readonly literalPathspecs: boolean;
  /** The words from the subcommand on. */
  readonly words: readonly Arg[];
}

/** The word `-` of commands that write to a file or, with this, to standard output. */
export const TO_STDOUT: GitOption = { name: '-', words: ['-'] };

const FLAG = /^--?[a-zA-Z0-9]/;
const ACTION = /^[a-zA-Z0-9][-a-zA-Z0-9]*$/;
const DASH = 0x2d;

/** Returns an option without a separate value: `flag('--topo-order')`, `flag('--format=%H')`. */
export function flag(word: string): GitOption {
  return { name: word, words: [word] };
}

/**
 * Returns an option whose value is a separate word (`value('--max-count', 10)` is `--max-count
 * 10`), whatever the value starts with.
 */
export function value(name: string, optionValue: Arg | number): GitOption {
  return { name, words: [name, typeof optionValue === 'number' ? String(optionValue) : optionValue] };
}

/**
 * Returns an option whose value is joined with `=`, for options that require it
 * (`joined('--filter', 'blob:none')`).
 */
export function joined(name: string, optionValue: Arg | number): GitOption {
  const tail = typeof optionValue === 'object' ? optionValue : Buffer.from(String(optionValue));
  return { name, words: [Buffer.concat([Buffer.from(`${name}=`), tail])] };
}

/**
 * Checks a command and arranges its words: `<name> [action] <options> [--end-of-options] <args>
 * <revisions> [-- <paths>]`.
 *
 * @throws {GitalyError} without a code (the caller's wrapper sets it), with Gitaly's texts;
 *   `metadata.command` names the subcommand for the count of invalid commands. An invalid revision
 *   of `rev-list` is INVALID_ARGUMENT.
 */
export function gitCommand(name: SubcommandName, parts: GitCommandOptions = {}): GitCommand {
  const known = subcommand(name);
  if (known === undefined) throw invalid(name, `invalid sub command name ${quote(name)}: invalid argument`);
  const words: Arg[] = [name];
  if (parts.action !== undefined) words.push(checkedAction(name, parts.action));
  for (const option of parts.options ?? []) {
    checkOption(name, option);
    words.push(...option.words);
  }
  words.push(...known.fixedOptions);
  const { args = [], revisions = [] } = parts;
  for (const word of args) checkPositional(name, word);
  for (const word of revisions) checkRevision(name, word);
  const hasPositional = args.length > 0 || revisions.length > 0;
  if (known.endOfOptions && hasPositional) words.push('--end-of-options');
  const paths = parts.paths ?? [];
  const needsEnd = parts.endOfRevisions === true || (known.comparesFiles && hasPositional);
  const end = paths.length > 0 || needsEnd ? ['--'] : [];
  // No `push(...)`: a client's list may be longer than the arguments of a call can be.
  const all = words.concat(args, revisions, end, paths);
  for (const word of all) checkNul(name, word);
  return { name, action: parts.action, literalPathspecs: parts.literalPathspecs ?? false, words: all };
}

function checkOption(command: string, { name, words }: GitOption): void {
  if (FLAG.test(name) || name === TO_STDOUT.name) return;
  const kind = words.length > 1 ? 'value flag' : 'flag';
  throw invalid(command, `${kind} ${quote(name)} failed regex validation: invalid argument`);
}

function checkedAction(name: string, action: string): string {
  if (!ACTION.test(action)) throw invalid(name, `invalid action ${quote(action)}: invalid argument`);
  return action;
}

function checkPositional(name: string, word: Arg): void {
  if (startsWithDash(word)) throw dashed(name, word);
}

/**
 * Checks a revision for the command line, or for the standard input, of a command: the revision may
 * not be an option, nor its halves if the command passes them on.
 *
 * @throws {GitalyError} as {@link gitCommand}.
 */
export function checkRevision(name: SubcommandName, word: Arg): void {
  if (name === 'rev-list') {
    if (startsWithDash(word) && validateRevision(word, { allowPseudo: true }) === undefined) return;
  }
  if (startsWithDash(word)) throw dashed(name, word);
  const half = SUBCOMMANDS[name].cutsRanges ? dashedHalf(word) : undefined;
  if (half !== undefined) throw dashed(name, half);
}

function dashed(name: string, word: Arg): GitalyError {
  if (name !== 'rev-list')
    return invalid(name, `positional arg ${quote(word)} cannot start with dash '-': invalid argument`);
  const problem = validateRevision(word) ?? '';
  return invalidArgument(`validating positional argument: ${problem}`, {
    metadata: { command: name },
  });
}

function startsWithDash(word: Arg): boolean {
  return typeof word === 'string' ? word.startsWith('-') : word[0] === DASH;
}

/** Refuses a word that the kernel would truncate. @throws {GitalyError} without a code. */
export function checkNul(command: string, word: Arg): void {
  const holds = typeof word === 'string' ? word.includes('\0') : word.includes(0);
  if (holds) throw invalid(command, `detected null byte in command argument ${quote(word)}`);
}

/**
 * Reports whether a command was refused before git was started, because of words that git must not
 * receive.
 */
export function isRefused(error: unknown): error is GitalyError {
  return error instanceof GitalyError && error.metadata.command !== undefined;
}

/** Returns the subcommand of a refused command (see {@link isRefused}). */
export function refusedSubcommand(error: unknown): SubcommandName | undefined {
  const name = isRefused(error) ? error.metadata.command : undefined;
  return typeof name === 'string' && isSubcommand(name) ? name : undefined;
}

function invalid(command: string, message: string): GitalyError {
  return new GitalyError('UNKNOWN', message, { metadata: { command } });
}

/**
 * Matches the separator before a half of a revision: `a..b` and `a...b` have two halves, `^a` one.
 * Further dots belong to the separator, because git commands differ in where they split `a....b`.
 */
const HALF = /^\^+|\.\.+/g;

/**
 * Returns the first half of a range that begins with a dash. Some git commands split a range and
 * pass each half to another git, which parses a half with a dash as an option: for `range-diff
 * main...--output=x`, git runs `git log --output=x..main`. `main^-` is accepted: its dash follows a
 * name.
 */
function dashedHalf(word: Arg): string | undefined {
  const bytes = Buffer.from(word);
  // One character per byte: the separators are ASCII.
  const text = bytes.toString('latin1');
  for (const { index, 0: separator } of text.matchAll(HALF)) {
    const start = index + separator.length;
    if (text[start] === '-') return bytes.subarray(start).toString();
  }
  return undefined;
}
