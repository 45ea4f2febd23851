import { codeOf, GitalyError } from '#base/gitaly-error';
import type { Arg, ChildExit } from './spawner/spawner.ts';

export interface GitExit extends ChildExit {
  /** From the start to the reaping. */
  readonly realMs: number;
  /** Why we ended the process ourselves: `context canceled`, `context deadline exceeded`. */
  readonly ended: string | undefined;
}

/**
 * A program ended with something else than exit code 0. The message is the bare fact that reaches clients (`exit status 128`,
 * `signal: terminated: context canceled`); what the program said stands in `stderr`.
 */
export class GitExitError extends Error {
  override readonly name = 'GitExitError';
  readonly argv: readonly string[];
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The head of what the program wrote to standard error (at most 10,000 bytes), decoded as UTF-8. */
  readonly stderr: string;

  constructor(argv: readonly Arg[], exit: GitExit, stderr: string) {
    super(describeExit(exit));
    this.argv = argv.map((word) => (typeof word === 'string' ? word : Buffer.from(word).toString()));
    this.exitCode = exit.code;
    this.signal = exit.signal;
    this.stderr = stderr;
  }
}

/** `exit status 1`, `signal: killed`, with the reason behind it when we ended the process. */
export function describeExit(exit: GitExit): string {
  const how =
    exit.signal === undefined ? `exit status ${exit.code ?? -1}` : `signal: ${SIGNAL_WORDS[exit.signal] ?? exit.signal}`;
  return exit.ended === undefined ? how : `${how}: ${exit.ended}`;
}

const SIGNAL_WORDS: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};

/** The words for why a signal was aborted, as clients know them. */
export function abortText(signal: AbortSignal): string {
  return isDeadline(signal.reason) ? 'context deadline exceeded' : 'context canceled';
}

/** The error of something that was not begun because its signal was already aborted. */
export function abortError(signal: AbortSignal): GitalyError {
  const code = isDeadline(signal.reason) ? 'DEADLINE_EXCEEDED' : 'CANCELLED';
  return new GitalyError(code, abortText(signal), { cause: signal.reason });
}

function isDeadline(reason: unknown): boolean {
  return codeOf(reason) === 'DEADLINE_EXCEEDED' || (reason instanceof Error && reason.name === 'TimeoutError');
}
