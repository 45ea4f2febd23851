import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { validateRevision } from '../refs/validate-revision.ts';
import { type SubcommandName, subcommand } from './allowed.ts';
import type { Arg } from './spawner/spawner.ts';

/** A checked option: one or two words of the command line. Made by {@link flag} and {@link value}. */
export interface GitOption {
  readonly name: string;
  readonly words: readonly Arg[];
}

/** What a git command is made of, as data. */
export interface GitCommandParts {
  /** A word right after the subcommand that git treats as a verb (`bundle create`, `remote prune`). */
  readonly action?: string;
  readonly options?: readonly GitOption[];
  /** Positional words; none may start with a dash. */
  readonly args?: readonly Arg[];
  /** Positional revisions, after `args`; none may start with a dash, but `rev-list` takes `--all`, `--not`, `--branches=…`. */
  readonly revisions?: readonly Arg[];
  /** Words after `--`: paths or patterns, taken as they are. */
  readonly paths?: readonly Arg[];
  /** Ends the words with `--` even without paths, so that git never takes a revision that it does not know for a file. */
  readonly endOfRevisions?: boolean;
  /** Takes `paths` as literal names instead of patterns. */
  readonly literalPathspecs?: boolean;
}

/** A checked git command. Only {@link gitCommand} makes one; where it runs and with what configuration is decided when it is started. */
export interface GitCommand {
  readonly name: SubcommandName;
  readonly action: string | undefined;
  readonly literalPathspecs: boolean;
  /** The words from the subcommand on. */
  readonly words: readonly Arg[];
}

const FLAG = /^--?[a-zA-Z0-9]/;
const ACTION = /^[a-zA-Z0-9]+[-a-zA-Z0-9]*$/;
const DASH = 0x2d;

/** An option without a value: `flag('--topo-order')`, or with one that is part of the word: `flag('--format=%H')`. */
export function flag(word: string): GitOption {
  return { name: word, words: [word] };
}

/** An option whose value is a word of its own (`value('--max-count', 10)` is `--max-count 10`), whatever the value starts with. */
export function value(name: string, optionValue: Arg | number): GitOption {
  return { name, words: [name, typeof optionValue === 'number' ? String(optionValue) : optionValue] };
}

/** An option whose value is joined with `=`, for options that take it in no other way (`joined('--filter', 'blob:none')`). */
export function joined(name: string, optionValue: Arg | number): GitOption {
  const tail = typeof optionValue === 'object' ? optionValue : Buffer.from(String(optionValue));
  return { name, words: [Buffer.concat([Buffer.from(`${name}=`), tail])] };
}

/**
 * Checks a command and lays out its words: `<name> [action] <options> [--end-of-options] <args> <revisions> [-- <paths>]`.
 *
 * @throws {GitalyError} without a code of its own (the caller's wrapper decides), with Gitaly's texts; `metadata.command` names the
 *   subcommand for the count of invalid commands. A bad revision of `rev-list` is INVALID_ARGUMENT.
 */
export function gitCommand(name: SubcommandName, parts: GitCommandParts = {}): GitCommand {
  const known = subcommand(name);
  if (known === undefined) throw invalid(name, `invalid sub command name ${quote(name)}: invalid argument`);
  const words: Arg[] = [name];
  if (parts.action !== undefined) words.push(checkedAction(name, parts.action));
  for (const option of parts.options ?? []) {
    checkOption(name, option);
    words.push(...option.words);
  }
  const positional = [...(parts.args ?? []), ...(parts.revisions ?? [])];
  for (const word of positional) checkPositional(name, word);
  if (known.endOfOptions && positional.length > 0) words.push('--end-of-options');
  words.push(...positional);
  const paths = parts.paths ?? [];
  if (paths.length > 0 || parts.endOfRevisions === true) words.push('--', ...paths);
  for (const word of words) checkNul(name, word);
  return { name, action: parts.action, literalPathspecs: parts.literalPathspecs ?? false, words };
}

function checkOption(command: string, { name, words }: GitOption): void {
  if (FLAG.test(name)) return;
  const kind = words.length > 1 ? 'value flag' : 'flag';
  throw invalid(command, `${kind} ${quote(name)} failed regex validation: invalid argument`);
}

function checkedAction(name: string, action: string): string {
  if (!ACTION.test(action)) throw invalid(name, `invalid action ${quote(action)}: invalid argument`);
  return action;
}

function checkPositional(name: string, word: Arg): void {
  if (!startsWithDash(word)) return;
  if (name !== 'rev-list') throw invalid(name, `positional arg ${quote(word)} cannot start with dash '-': invalid argument`);
  const problem = validateRevision(word, { allowPseudo: true });
  if (problem !== undefined) {
    throw new GitalyError('INVALID_ARGUMENT', `validating positional argument: ${problem}`, { metadata: { command: name } });
  }
}

function startsWithDash(word: Arg): boolean {
  return typeof word === 'string' ? word.startsWith('-') : word[0] === DASH;
}

/** Refuses a word that the kernel would cut. @throws {GitalyError} without a code of its own. */
export function checkNul(command: string, word: Arg): void {
  const holds = typeof word === 'string' ? word.includes('\0') : word.includes(0);
  if (holds) throw invalid(command, `detected null byte in command argument ${quote(word)}`);
}

/** Whether a command was refused before git was started, for words that git must not see. */
export function isRefused(error: unknown): error is GitalyError {
  return error instanceof GitalyError && error.metadata.command !== undefined;
}

function invalid(command: string, message: string): GitalyError {
  return new GitalyError('UNKNOWN', message, { metadata: { command } });
}
