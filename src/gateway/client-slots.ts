import type { Slot, Slots } from './slots.ts';

/** Maximum numbers of concurrent users of a slot. */
export interface SlotLimits {
  readonly total: number;
  readonly perClient: number;
}

/** Counts concurrent work, in total and per client. It stores only clients that hold a slot. */
export class ClientSlots implements Slots {
  readonly #limits: SlotLimits;
  readonly #clientOf: (address: string) => string;
  readonly #held = new Map<string, number>();
  #total = 0;

  /** @param clientOf returns the key of the client at an address. */
  constructor(limits: SlotLimits, clientOf: (address: string) => string = networkOf) {
    this.#limits = limits;
    this.#clientOf = clientOf;
  }

  take(address = ''): Slot {
    const client = this.#clientOf(address);
    const held = this.#held.get(client) ?? 0;
    if (held >= this.#limits.perClient) return 'client';
    if (this.#total >= this.#limits.total) return 'total';
    this.#total++;
    this.#held.set(client, held + 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#giveBack(client);
      },
    };
  }

  #giveBack(client: string): void {
    const left = (this.#held.get(client) ?? 0) - 1;
    this.#total--;
    if (left > 0) this.#held.set(client, left);
    else this.#held.delete(client);
  }
}

const IPV6_NETWORK_GROUPS = 4;

/**
 * Returns the key of a client: one IPv4 address, or one IPv6 /64, the size that is assigned to a
 * single customer.
 */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros =
    tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].slice(0, IPV6_NETWORK_GROUPS).join(':');
}
