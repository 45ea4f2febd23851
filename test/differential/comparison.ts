import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { type Connection, GitalyError } from '#client/index';
import { GitFailed } from './ask-git.ts';
import type { Choices, OddRepository } from './odd-repository.ts';

/** How long an answer may take: a call that is still running then hangs. */
const HANG_MS = 20_000;

/** One question to the server and to git. */
export interface Comparison {
  /** With its arguments, for the report. */
  readonly question: string;
  /** The server's answer in git's terms. */
  ours(): Promise<unknown>;
  /** Git's answer. @throws {GitFailed} when git fails; then the server may fail too, answer what `withoutGit` holds, or what was right before the damage. */
  git(): Promise<unknown>;
  /** Answers of the RPC to what git refuses. */
  readonly withoutGit?: readonly unknown[];
  /** The question is about many things, and git would fail at one of them: then all of it may. */
  readonly mayFail?: boolean;
}

/** Makes questions of one RPC about a repository. */
export type Comparer = (about: OddRepository & Choices, connection: Connection) => Comparison[];

/** Options of every call. */
export const CALL = { timeoutMs: HANG_MS };

/**
 * What is wrong with the server's answer; nothing when it is what git says.
 *
 * @param intact the same question about the repository before it was damaged: the server may read less than git does.
 */
export async function disagreement(comparison: Comparison, intact?: Comparison): Promise<string | undefined> {
  const { question, withoutGit = [] } = comparison;
  const [ours, git] = await Promise.all([outcome(comparison.ours()), outcome(comparison.git())]);
  if (git.error !== undefined && !(git.error instanceof GitFailed)) throw git.error;
  if (ours.error !== undefined && !(ours.error instanceof GitalyError)) throw ours.error;
  if (ours.error?.code === 'DEADLINE_EXCEEDED') return `${question}: hangs`;
  if (git.error !== undefined) {
    if (intact !== undefined && isDeepStrictEqual((await outcome(intact.git())).answer, ours.answer)) return undefined;
    const allowed = ours.error !== undefined || withoutGit.some((answer) => isDeepStrictEqual(answer, ours.answer));
    return allowed ? undefined : `${question}: git fails (${git.error.message}), ours is ${show(ours.answer)}`;
  }
  if (ours.error !== undefined && comparison.mayFail) return undefined;
  if (ours.error !== undefined) return `${question}: ${ours.error.code} ${ours.error.message}, git says ${show(git.answer)}`;
  try {
    assert.deepEqual(ours.answer, git.answer);
    return undefined;
  } catch (error) {
    return `${question}: ${error instanceof Error ? error.message : error}`;
  }
}

async function outcome(answer: Promise<unknown>): Promise<{ answer?: unknown; error?: Error & { code?: string } }> {
  try {
    return { answer: await answer };
  } catch (error) {
    if (error instanceof Error) return { error };
    throw error;
  }
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 500);

/** Bytes as text that keeps every one of them. */
export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
