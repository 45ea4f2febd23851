import { maybe, oneOf, text } from '#base/shape';
import type { Slots } from '#gateway/slots';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, held, named, protocol, remote } from '#workers/protocol';

/** Kinds of work that all processes together bound. */
export type SlotKind = 'calls' | 'requests' | 'events' | 'logins';

/** Slots of the supervisor, for a client's address. A slot is held; instead there may be a refusal. */
const SLOTS = protocol('gateway', { take: held(maybe(text), maybe(oneOf('client', 'total'))) });

/** Lets workers take slots of this process. Those of a worker that ends are given back. */
export function shareSlots(desk: Desk, kind: SlotKind, slots: Slots): void {
  answer(desk, named(SLOTS, kind), {
    async take(address) {
      const slot = await slots.take(address);
      return typeof slot === 'string'
        ? { value: slot }
        : { value: undefined, release: () => slot[Symbol.dispose]() };
    },
  });
}

/** Returns slots that the supervisor counts. */
export function slotsOf(link: Link, kind: SlotKind): Slots {
  const { take } = remote(link, named(SLOTS, kind));
  return {
    take: async (address) => {
      const { release, value: refusal } = await take(address);
      return refusal ?? { [Symbol.dispose]: release };
    },
  };
}
