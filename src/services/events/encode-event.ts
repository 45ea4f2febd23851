import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RepositoryEvent } from '#events/event';
import { type EventSchema, Event_Kind as Kind } from '#wire/gen/gitalyts/events/v1/events_pb';

export const KINDS = {
  reference: Kind.REFERENCE,
  created: Kind.CREATED,
  removed: Kind.REMOVED,
  renamed: Kind.RENAMED,
  resync: Kind.RESYNC,
  compacted: Kind.COMPACTED,
} as const satisfies Record<RepositoryEvent['kind'], Kind>;

export const SECOND_MS = 1000;
export const NANOS_PER_MS = 1_000_000;

export function encodeEvent(
  storageName: string,
  event: RepositoryEvent,
): MessageInitShape<typeof EventSchema> {
  const { kind, relativePath, reference, timeMs, user } = event;
  return {
    sequence: BigInt(event.sequence),
    kind: KINDS[kind],
    storageName,
    relativePath,
    time: {
      seconds: BigInt(Math.floor(timeMs / SECOND_MS)),
      nanos: (timeMs % SECOND_MS) * NANOS_PER_MS,
    },
    ...(reference !== undefined && { reference: Buffer.from(reference, 'latin1') }),
    oldValue: event.oldValue ?? '',
    newValue: event.newValue ?? '',
    previousRelativePath: event.previousPath ?? '',
    ...(user && {
      user: {
        id: user.id,
        name: user.name,
        credentialKind: user.credential?.kind ?? '',
        credentialName: user.credential?.name ?? '',
      },
    }),
  };
}
