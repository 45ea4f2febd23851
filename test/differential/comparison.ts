import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { type Connection, GitalyError } from '#client/index';
import { GitFailed } from './ask-git.ts';
import type { Choices, OddRepository } from './unusual-repository.ts';

/** Time limit of a response, on a busy machine, too: a call that still runs then hangs. */
const HANG_MS = 120_000;

/** One request to the server and to git. */
export interface Comparison {
  /** Description with arguments, for the report. */
  readonly question: string;
  /** Returns the server's result in git's form. */
  ours(): Promise<unknown>;
  /**
   * Returns git's result. @throws {GitFailed} when git fails; then the server may fail too, return
   * a value of `withoutGit`, or the result before the damage.
   */
  git(): Promise<unknown>;
  /** Results of the RPC for requests that git refuses. */
  readonly withoutGit?: readonly unknown[];
  /**
   * True if the request concerns many objects and git fails at one of them: then the whole request
   * may fail.
   */
  readonly mayFail?: boolean;
}

/** Creates requests of one RPC for a repository. */
export type Comparer = (about: OddRepository & Choices, connection: Connection) => Comparison[];

/** Options of every call. */
export const CALL = { timeoutMs: HANG_MS };

/**
 * Returns the difference between the server's result and git's; nothing if they agree.
 *
 * @param intact the same request about the repository before it was damaged: the server may read
 *   less than git does.
 */
export async function disagreement(comparison: Comparison, intact?: Comparison): Promise<string | undefined> {
  const { question, withoutGit = [] } = comparison;
  const [ours, git] = await Promise.all([outcome(comparison.ours()), outcome(comparison.git())]);
  if (git.error !== undefined && !(git.error instanceof GitFailed)) throw git.error;
  if (ours.error !== undefined && !(ours.error instanceof GitalyError)) throw ours.error;
  if (ours.error?.code === 'DEADLINE_EXCEEDED') return `${question}: hangs`;
  if (git.error !== undefined) {
    if (intact !== undefined && isDeepStrictEqual((await outcome(intact.git())).answer, ours.answer))
      return undefined;
    const allowed =
      ours.error !== undefined || withoutGit.some((answer) => isDeepStrictEqual(answer, ours.answer));
    return allowed
      ? undefined
      : `${question}: git fails (${git.error.message}), ours is ${show(ours.answer)}`;
  }
  if (ours.error !== undefined && comparison.mayFail) return undefined;
  if (ours.error !== undefined)
    return `${question}: ${ours.error.code} ${ours.error.message}, git says ${show(git.answer)}`;
  try {
    assert.deepEqual(ours.answer, git.answer);
    return undefined;
  } catch (error) {
    return `${question}: ${error instanceof Error ? error.message : error}`;
  }
}

async function outcome(
  answer: Promise<unknown>,
): Promise<{ answer?: unknown; error?: Error & { code?: string } }> {
  try {
    return { answer: await answer };
  } catch (error) {
    if (error instanceof Error) return { error };
    throw error;
  }
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 500);

/** Converts bytes to text that keeps every byte. */
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
