import { readdir, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { type RecordedResult, runRecorded } from '#domain/transactions/run-recorded';
import type { CommandRepository } from '#git/command/command-repository';
import type { ConfigPair } from '#git/command/config';
import type { GitCommand } from '#git/command/git-command';
import type { Outgoing } from './outgoing-remote.ts';

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

/** git writes at most some 100 MB in this time. */
const LOOK_EVERY_MS = 500;

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

/**
 * Calls `onExceeded` once when the files in a directory are larger than a limit together. git has
 * no such limit for what it fetches. Disposing stops it.
 */
function watchSize(directory: string, maxBytes: number, onExceeded: () => void): Disposable {
  const stopped = new AbortController();
  void watch(directory, maxBytes, onExceeded, stopped.signal);
  return { [Symbol.dispose]: () => stopped.abort() };
}

async function watch(
  directory: string,
  maxBytes: number,
  onExceeded: () => void,
  signal: AbortSignal,
): Promise<void> {
  while (await waited(signal)) {
    if ((await sizeOf(directory)) <= maxBytes) continue;
    if (!signal.aborted) onExceeded();
    return;
  }
}

async function waited(signal: AbortSignal): Promise<boolean> {
  try {
    await delay(LOOK_EVERY_MS, undefined, { signal, ref: false });
    return true;
  } catch {
    return false; // stopped
  }
}

/** Files appear and vanish meanwhile; a missing one counts nothing. */
async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(directory, { withFileTypes: true, recursive: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += (await stat(`${entry.parentPath}/${entry.name}`).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
