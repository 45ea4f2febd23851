import { isatty } from 'node:tty';
import { signalWords } from '#base/go/signal-words';

/** Signals that request a stop. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** The reason of a stop. */
export interface StopRequest {
  /** `terminated`, `interrupt`, `hangup`, or the reason given by a program. */
  readonly reason: string;
}

/** Signals for a graceful stop, and for a later immediate one. */
export interface StopSignals extends Disposable {
  /** Aborts at the first signal; `reason` is a {@link StopRequest}. */
  readonly stop: AbortSignal;
  /** Aborts at the second signal, or together with `stop` if there can be no second signal. */
  readonly force: AbortSignal;
  /**
   * Makes SIGHUP call `listener` instead of requesting a stop. If standard input was a terminal
   * that is closed now, SIGHUP still requests a stop. `always` makes it call the listener then,
   * too.
   */
  useHangup(listener: () => void, options?: { readonly always?: boolean }): void;
}

/**
 * Listens for SIGTERM, SIGINT and SIGHUP: the first requests a graceful stop, the second an
 * immediate one. Until disposed, these signals no longer end the process by themselves.
 */
export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const force = new AbortController();
  let onHangup: { readonly listener: () => void; readonly mayCall: () => boolean } | undefined;
  const isTerminal = isatty(0);
  const listeners = STOP_SIGNALS.map((name) => {
    const listener = (): void => {
      const request: StopRequest = { reason: signalWords(name) };
      if (name === 'SIGHUP' && onHangup?.mayCall() === true && !stop.signal.aborted) onHangup.listener();
      else if (stop.signal.aborted) force.abort(request);
      else stop.abort(request);
    };
    process.on(name, listener);
    return { name, listener };
  });
  return {
    stop: stop.signal,
    force: force.signal,
    useHangup: (listener, { always = false } = {}) => {
      onHangup = { listener, mayCall: () => always || !isTerminal || isatty(0) };
    },
    [Symbol.dispose]: () => {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
