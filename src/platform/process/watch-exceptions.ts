import type { StopRequest } from './signals.ts';

export interface ExceptionWatch extends Disposable {
  /**
   * Aborts at the first exception after which the state of the process is unknown; `reason` is a
   * {@link StopRequest}.
   */
  readonly stop: AbortSignal;
  /** Aborts at the second. */
  readonly force: AbortSignal;
}

export interface ExceptionWatchOptions {
  /**
   * Receives each exception that nothing caught, in the asynchronous context that it came from.
   * Returns whether it has dealt with it, so that the process may continue.
   */
  readonly contain: (exception: unknown) => boolean;
}

/** Time that the process has to stop after an exception before it is ended. */
export const EXCEPTION_GRACE_MS = 10_000;
/** Beyond the grace period, for a stop that hangs. */
const HARD_EXIT_MS = EXCEPTION_GRACE_MS + 5_000;

/**
 * Takes over uncaught exceptions and unhandled rejections of this process until disposed. One that
 * is not contained requests a stop, and ends the process with exit code 1 when the stop takes too
 * long: its supervisor starts it again.
 */
export function watchExceptions({ contain }: ExceptionWatchOptions): ExceptionWatch {
  const stop = new AbortController();
  const force = new AbortController();
  const onException = (exception: unknown): void => {
    if (containSafely(contain, exception)) return;
    if (stop.signal.aborted) {
      force.abort();
      return;
    }
    setTimeout(() => process.exit(1), HARD_EXIT_MS).unref();
    const request: StopRequest = { reason: 'uncaught exception' };
    stop.abort(request);
  };
  process.on('uncaughtException', onException);
  process.on('unhandledRejection', onException);
  return {
    stop: stop.signal,
    force: force.signal,
    [Symbol.dispose]: () => {
      process.off('uncaughtException', onException);
      process.off('unhandledRejection', onException);
    },
  };
}

function containSafely(contain: ExceptionWatchOptions['contain'], exception: unknown): boolean {
  try {
    return contain(exception);
  } catch {
    return false; // what cannot even be reported is not dealt with
  }
}
