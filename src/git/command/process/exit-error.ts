import { codeOf, GitalyError } from '#base/gitaly-error';
import { signalWords } from '#base/go/signal-words';
import { isError } from '#base/is-error';
import type { Arg, ChildExit } from '../spawner/spawner.ts';

export interface GitExit extends ChildExit {
  /** Milliseconds from the start to the reaping. */
  readonly realMs: number;
  /** The reason if we ended the process: `context canceled`, `context deadline exceeded`. */
  readonly ended: string | undefined;
}

/**
 * A program ended with a failure. The message is the fact that clients receive (`exit status 128`,
 * `signal: terminated: context canceled`); the program's own message is in `stderr`.
 */
export class GitExitError extends Error {
  override readonly name = 'GitExitError';
  readonly argv: readonly string[];
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The beginning of standard error (at most 10,000 bytes), decoded as UTF-8. */
  readonly stderr: string;

  constructor(argv: readonly Arg[], exit: GitExit, stderr: string) {
    super(describeExit(exit));
    this.argv = argv.map((word) => (typeof word === 'string' ? word : Buffer.from(word).toString()));
    this.exitCode = exit.code;
    this.signal = exit.signal;
    this.stderr = stderr;
  }
}

/** Returns `exit status 1` or `signal: killed`, followed by the reason if we ended the process. */
export function describeExit(exit: GitExit): string {
  const how =
    exit.signal === undefined ? `exit status ${exit.code ?? -1}` : `signal: ${signalWords(exit.signal)}`;
  return exit.ended === undefined ? how : `${how}: ${exit.ended}`;
}

/** Returns the text of an abort as clients know it. */
export function abortText(signal: AbortSignal): string {
  return isDeadline(signal.reason) ? 'context deadline exceeded' : 'context canceled';
}

/** Returns the error of an operation that was not started because its signal was aborted. */
export function abortError(signal: AbortSignal): GitalyError {
  const code = isDeadline(signal.reason) ? 'DEADLINE_EXCEEDED' : 'CANCELLED';
  return new GitalyError(code, abortText(signal), { cause: signal.reason });
}

function isDeadline(reason: unknown): boolean {
  return codeOf(reason) === 'DEADLINE_EXCEEDED' || (isError(reason) && reason.name === 'TimeoutError');
}
