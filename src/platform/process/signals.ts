/** Signals that ask for a stop, with the words in which Go programs report them. */
const STOP_SIGNALS = { SIGTERM: 'terminated', SIGINT: 'interrupt', SIGHUP: 'hangup' } as const;

/** Why a server stops. */
export interface StopRequest {
  /** `terminated`, `interrupt`, `hangup`, or the reason that a program gave. */
  readonly reason: string;
}

/** A wish to stop, and the later wish to stop at once. */
export interface StopSignals extends Disposable {
  /** Aborts at the first signal; `reason` is a {@link StopRequest}. */
  readonly stop: AbortSignal;
  /** Aborts at the second signal, or at the same time as `stop` when that was the only way to ask. */
  readonly force: AbortSignal;
}

/**
 * Listens for SIGTERM, SIGINT and SIGHUP: the first asks for a graceful stop, the second for an immediate one. Until disposed,
 * these signals no longer end the process by themselves.
 */
export function listenForStop(): StopSignals {
  const stop = new AbortController();
  const force = new AbortController();
  const listeners = Object.entries(STOP_SIGNALS).map(([name, reason]) => {
    const listener = (): void => {
      const request: StopRequest = { reason };
      if (stop.signal.aborted) force.abort(request);
      else stop.abort(request);
    };
    process.on(name, listener);
    return { name, listener };
  });
  return {
    stop: stop.signal,
    force: force.signal,
    [Symbol.dispose]: () => {
      for (const { name, listener } of listeners) process.off(name, listener);
    },
  };
}
