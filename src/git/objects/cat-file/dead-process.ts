import { setTimeout } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { GitProcess } from '#git/command/process/git-process';
import type { Lookup } from './lookup.ts';

/** Time for a process to end after it closed its output. */
const EXIT_MS = 1_000;

/**
 * Matches git's error for an empty object file. Newer versions of git treat it as missing; older
 * ones die when they follow it.
 */
const EMPTY_OBJECT = /^error: object file .* is empty$/m;
/** Matches the errors of a git that failed to start. */
const REFUSED =
  /^fatal: (?:not a git repository|bad config |Expected git repo version|unknown repository extension)/m;

/** Matches git's error for an unknown hash function. */
const UNKNOWN_HASH = /^error: invalid value for 'extensions\.objectformat': '(.*)'$/m;

/**
 * Waits until a process that closed its output has been reaped: its error output is complete then.
 * One that goes on is not waited for.
 */
export async function reaped({ exited }: GitProcess): Promise<void> {
  await Promise.race([exited, setTimeout(EXIT_MS, undefined, { ref: false })]);
}

/** Reports whether git found the repository unusable, rather than an object in it. */
export function isRefusal(stderr: string): boolean {
  return REFUSED.test(stderr);
}

/** Fails a lookup with the error of its dead process. */
export function settleDead(lookup: Lookup, stderr: string): void {
  if (EMPTY_OBJECT.test(stderr)) lookup.resolve(undefined);
  else lookup.reject(deadError(stderr));
}

/**
 * Returns the error of a lookup whose process died. The text is Gitaly's, which reaches clients
 * after the prefix of their RPC.
 */
export function deadError(stderr: string): GitalyError {
  return new GitalyError('UNKNOWN', messageOfDeath(stderr), { metadata: { stderr } });
}

function messageOfDeath(stderr: string): string {
  // Gitaly detects this before it starts git.
  const [, hash] = UNKNOWN_HASH.exec(stderr) ?? [];
  if (hash !== undefined) return `detecting object hash: unknown object format: ${quote(hash)}`;
  return isRefusal(stderr) ? 'flushing: write |1: broken pipe' : 'read info line: EOF';
}
