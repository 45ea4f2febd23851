import { GitalyError } from '#base/gitaly-error';
import { type RecordedResult, runRecorded } from '#domain/transactions/run-recorded';
import type { CommandRepository } from '#git/command/command-repository';
import type { ConfigPair } from '#git/command/config';
import type { GitCommand } from '#git/command/git-command';
import type { Outgoing } from './outgoing-remote.ts';
import { watchSize } from './watch-size.ts';

/** Limits of one command that reaches a remote. */
export interface OutgoingLimits {
  /** Bytes that git may write. */
  readonly maxBytes: number;
  /** Duration of one command, in addition to the deadline of the call. */
  readonly maxMs: number;
}

/** Larger than any known repository, and longer than any known import. */
export const OUTGOING_LIMITS: OutgoingLimits = { maxBytes: 2 ** 40, maxMs: 24 * 60 * 60 * 1000 };

export interface OutgoingRun {
  readonly outgoing: Outgoing;
  readonly signal: AbortSignal;
  readonly limits?: OutgoingLimits | undefined;
  /** Directory that git writes to, whose size is limited; `undefined` if it writes nothing. */
  readonly writesTo: string | undefined;
  /** Settings that follow those of the remote. */
  readonly config?: readonly ConfigPair[];
}

/**
 * Runs a git that reaches a remote, within limits. Output and exit as of {@link runRecorded}; the
 * command names the remote by `outgoing.url`.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED for a remote that sends too much, DEADLINE_EXCEEDED for
 *   one that takes too long.
 */
export async function runOutgoing(
  runner: Pick<CommandRepository, 'spawn' | 'spawnTurn'>,
  command: GitCommand,
  { outgoing, signal, limits = OUTGOING_LIMITS, writesTo, config = [] }: OutgoingRun,
): Promise<RecordedResult> {
  const tooLarge = new AbortController();
  const tooLong = AbortSignal.timeout(limits.maxMs);
  const exceeded = (): void => tooLarge.abort();
  using _watch = writesTo === undefined ? undefined : watchSize(writesTo, limits.maxBytes, exceeded);
  const result = await runRecorded(runner, command, {
    signal: AbortSignal.any([signal, tooLong, tooLarge.signal]),
    config: [...outgoing.config, ...config],
    env: outgoing.env,
  });
  if (result.failure === undefined || signal.aborted) return result;
  if (tooLarge.signal.aborted)
    throw limitError('RESOURCE_EXHAUSTED', 'remote repository is too large', result);
  if (tooLong.aborted) throw limitError('DEADLINE_EXCEEDED', 'remote repository took too long', result);
  return result;
}

function limitError(
  code: 'RESOURCE_EXHAUSTED' | 'DEADLINE_EXCEEDED',
  message: string,
  { failure }: RecordedResult,
): GitalyError {
  return new GitalyError(code, message, { cause: failure });
}
