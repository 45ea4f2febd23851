import { timerMs } from '#base/async/timer-ms';
import { PacketParser } from '#base/pkt-line/packet-parser';

/** Time limit for a client's request, and the packet that ends it. */
export interface NegotiationLimit {
  readonly timeoutMs: number;
  readonly until: Buffer | 'flush';
}

export interface NegotiationWatch extends Disposable {
  readonly isTooSlow: boolean;
  /** Receives a copy of the client's bytes. */
  push(chunk: Uint8Array): void;
}

/**
 * Watches a copy of the client's bytes and calls `onTooSlow` if the packet does not arrive in time.
 *
 * Access was checked before git was started. Without a limit, a client could hold the connection
 * open for weeks and get data that it may no longer read. Invalid packets stop the timer: git
 * refuses them itself.
 */
export function watchNegotiation(
  { timeoutMs, until }: NegotiationLimit,
  onTooSlow: () => void,
): NegotiationWatch {
  const packets = new PacketParser();
  let isWatching = true;
  let isTooSlow = false;
  const timer = setTimeout(() => {
    isWatching = false;
    isTooSlow = true;
    onTooSlow();
  }, timerMs(timeoutMs));
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
        if (typeof packet === 'string' ? packet === until : typeof until !== 'string' && packet.equals(until))
          return stop();
      }
      if (!packets.isReadable) stop();
    },
    [Symbol.dispose]: stop,
  };
}
