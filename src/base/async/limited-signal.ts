import { timerMs } from './timer-ms.ts';

/** A signal for one piece of work, disposed when the work is done. */
export interface LimitedSignal extends Disposable {
  readonly signal: AbortSignal;
}

/** A signal whose timeout can be put off. */
export interface ExtensibleSignal extends LimitedSignal {
  extend(byMs: number): void;
}

/**
 * Returns a signal that is aborted with another signal, or with a `TimeoutError` after the timeout.
 * Dispose it when the work is done.
 *
 * It replaces `AbortSignal.any` with `AbortSignal.timeout` for work that is done thousands of times
 * a second. Each of those leaves weak references and a timer that runs its full time; this leaves
 * nothing.
 */
export function limitedSignal(timeoutMs: number, signal?: AbortSignal): ExtensibleSignal {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  let furtherMs = 0;
  const onTimeout = (): void => {
    if (furtherMs === 0)
      controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    else timer = setTimeout(onTimeout, furtherMs).unref();
    furtherMs = 0;
  };
  let timer = setTimeout(onTimeout, timerMs(timeoutMs)).unref();
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    extend: (byMs) => {
      furtherMs += byMs;
    },
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}
