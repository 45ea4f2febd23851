import type { Writable } from 'node:stream';
import type { Identity } from '../identity.ts';
import { unquote } from './git-command.ts';

/** A command of a person, which is none of git. */
export interface PeopleCommand {
  /** The words of the line; none for a login without a command. */
  readonly words: readonly string[];
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
  /** Takes the error of a command that fails, for the access log: its code tells the outcome. */
  readonly onError: (error: unknown) => void;
}

/** Commands for people, besides those of git. */
export interface PeopleCommands {
  /** The first words of these commands. */
  readonly names: readonly string[];
  /** Resolves to the exit code. */
  run(command: PeopleCommand): Promise<number>;
}

const MAX_LINE_LENGTH = 8192;
const MAX_WORDS = 64;

/**
 * Splits a line into words, without a shell: a word is in single quotes as git writes them, or has
 * only characters that are not special. Returns `undefined` for any other line.
 */
export function wordsOfCommand(line: string): readonly string[] | undefined {
  if (line.length > MAX_LINE_LENGTH) return undefined;
  const words: string[] = [];
  let isQuoted = false;
  let start = 0;
  for (let at = 0; at <= line.length; at++) {
    const character = line[at] ?? ' ';
    if (character === "'") isQuoted = !isQuoted;
    // outside quotes, git escapes quotes and exclamation marks
    else if (character === '\\' && !isQuoted && at + 1 < line.length) at++;
    if ((isQuoted && at < line.length) || character !== ' ') continue;
    if (at > start) {
      const word = unquote(line.slice(start, at));
      if (word === undefined || words.length === MAX_WORDS) return undefined;
      words.push(word);
    }
    start = at + 1;
  }
  return words;
}
