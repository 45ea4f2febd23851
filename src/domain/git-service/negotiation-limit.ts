import { ClientPackets } from './client-packets.ts';

/** How long a client may take until it has said what it wants, and the packet that says so. */
export interface NegotiationLimit {
  readonly timeoutMs: number;
  readonly until: Buffer | 'flush';
}

export interface NegotiationWatch extends Disposable {
  readonly isTooSlow: boolean;
  /** Takes a copy of the client's bytes. */
  push(chunk: Uint8Array): void;
}

/**
 * Watches a copy of the client's bytes and calls `onTooSlow` when the packet does not come in time.
 *
 * Access was checked before git was started. Without a limit, a client could hold the connection open for weeks and get what it may
 * no longer see. Bytes that are no packets stop the clock: git refuses them by itself.
 */
export function watchNegotiation({ timeoutMs, until }: NegotiationLimit, onTooSlow: () => void): NegotiationWatch {
  const packets = new ClientPackets();
  let isWatching = true;
  let isTooSlow = false;
  const timer = setTimeout(() => {
    isWatching = false;
    isTooSlow = true;
    onTooSlow();
  }, timeoutMs);
  const stop = (): void => {
    isWatching = false;
    clearTimeout(timer);
  };
  return {
    get isTooSlow() {
      return isTooSlow;
    },
    push(chunk) {
      if (!isWatching) return;
      for (const packet of packets.push(chunk)) {
        if (typeof packet === 'string' ? packet === until : typeof until !== 'string' && packet.equals(until)) return stop();
      }
      if (!packets.isReadable) stop();
    },
    [Symbol.dispose]: stop,
  };
}
