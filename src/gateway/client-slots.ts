import { Limit } from '#base/limits/limit';
import type { ClientSlot, Slots } from './slots.ts';

/** Maximum numbers of concurrent users of a slot. */
export interface SlotLimits {
  readonly total: number;
  readonly perClient: number;
}

/** Counts concurrent work, in total and per client. It stores only clients that hold a slot. */
export class ClientSlots implements Slots {
  readonly #perClient: number;
  readonly #clientOf: (address: string) => string;
  readonly #limit: Limit<string>;

  /** @param clientOf returns the key of the client at an address. */
  constructor({ total, perClient }: SlotLimits, clientOf: (address: string) => string = networkOf) {
    this.#perClient = perClient;
    this.#clientOf = clientOf;
    this.#limit = new Limit({ capacity: total, capacityPerOwner: perClient });
  }

  take(address = ''): ClientSlot {
    const client = this.#clientOf(address);
    const turn = this.#limit.take(client);
    if (turn !== undefined) return { [Symbol.dispose]: () => turn.release() };
    return this.#limit.callers(client).holders >= this.#perClient ? 'client' : 'total';
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
