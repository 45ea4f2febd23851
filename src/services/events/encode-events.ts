import type { MessageShape } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { RepositoryEvent } from '#events/event';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { EventSchema, UserSchema, WatchResponseSchema } from '#wire/gen/gitalyts/events/v1/events_pb';
import { KINDS, NANOS_PER_MS, SECOND_MS } from './encode-event.ts';

const RESPONSE = fieldNumbers(WatchResponseSchema, { events: 'message', cursor: 'number' });
const EVENT = fieldNumbers(EventSchema, {
  sequence: 'number',
  kind: 'number',
  storageName: 'text',
  relativePath: 'text',
  time: 'message',
  reference: 'bytes',
  oldValue: 'text',
  newValue: 'text',
  previousRelativePath: 'text',
  user: 'message',
});
const USER = fieldNumbers(UserSchema, {
  id: 'text',
  name: 'text',
  credentialKind: 'text',
  credentialName: 'text',
});
const TIME = fieldNumbers(TimestampSchema, { seconds: 'number', nanos: 'number' });

/** Encoded events, as long as the feed keeps them in memory: each is sent to every watcher. */
const encoded = new WeakMap<RepositoryEvent, Buffer>();

/**
 * Encodes events for a watcher, each of them once for all watchers.
 *
 * @param cursor 0 among compacted events.
 */
export function encodeEvents(
  storageName: string,
  events: readonly RepositoryEvent[],
  cursor: number,
): MessageShape<typeof WatchResponseSchema> {
  const messages = events.map((event) => bytesOf(storageName, event));
  const bytes = encodeWith((writer) => {
    writer.number(RESPONSE.cursor, cursor);
    for (let index = messages.length - 1; index >= 0; index--) {
      const end = writer.length;
      writer.encoded(messages[index] ?? Buffer.alloc(0));
      writer.message(RESPONSE.events, end);
    }
  });
  return encodedMessage(WatchResponseSchema, bytes);
}

function bytesOf(storageName: string, event: RepositoryEvent): Buffer {
  const known = encoded.get(event);
  if (known !== undefined) return known;
  const { kind, newValue, oldValue, previousPath, reference, relativePath, sequence, timeMs, user } = event;
  const bytes = encodeWith((writer) => {
    if (user !== undefined) {
      const userEnd = writer.length;
      writer.text(USER.credentialName, user.credential?.name);
      writer.text(USER.credentialKind, user.credential?.kind);
      writer.text(USER.name, user.name);
      writer.text(USER.id, user.id);
      writer.message(EVENT.user, userEnd);
    }
    writer.text(EVENT.previousRelativePath, previousPath);
    writer.text(EVENT.newValue, newValue);
    writer.text(EVENT.oldValue, oldValue);
    if (reference !== undefined) writer.bytes(EVENT.reference, Buffer.from(reference, 'latin1'));
    const end = writer.length;
    writer.number(TIME.nanos, (timeMs % SECOND_MS) * NANOS_PER_MS);
    writer.number(TIME.seconds, Math.floor(timeMs / SECOND_MS));
    writer.message(EVENT.time, end);
    writer.text(EVENT.relativePath, relativePath);
    writer.text(EVENT.storageName, storageName);
    writer.number(EVENT.kind, KINDS[kind]);
    writer.number(EVENT.sequence, sequence);
  });
  encoded.set(event, bytes);
  return bytes;
}
