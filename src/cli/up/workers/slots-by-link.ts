import type { Slot, Slots } from '#gateway/slots';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';

/** Kinds of work that all processes together bound. */
export type SlotKind = 'requests' | 'events' | 'logins';

/** Lets workers take slots of this process. Those of a worker that ends are given back. */
export function shareSlots(desk: Desk, kind: SlotKind, slots: Slots): void {
  desk.onAsked(topicOf(kind), async (address) => {
    const slot = await slots.take(address as string | undefined); // from `slotsOf`
    return typeof slot === 'string' ? { value: slot } : { release: () => slot[Symbol.dispose]() };
  });
}

/** Returns slots that the supervisor counts. */
export function slotsOf(link: Link, kind: SlotKind): Slots {
  return {
    take: async (address) => {
      const held = await link.ask(topicOf(kind), address);
      const refusal = held.value as Exclude<Slot, Disposable> | undefined; // from `shareSlots`
      return refusal ?? { [Symbol.dispose]: () => held.release() };
    },
  };
}

function topicOf(kind: SlotKind): string {
  return `gateway ${kind}`;
}
