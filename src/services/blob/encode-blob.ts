import type { MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { readyMessage, readyResponses } from '#rpc/common/grpc/ready-responses';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import { GetBlobsResponseSchema } from '#wire/gen/blob_pb';

/** Size up to which messages are collected, and sent together. */
const GROUP_BYTES = 64 * 1024;

const FIELDS = fieldNumbers(GetBlobsResponseSchema, {
  size: 'number',
  data: 'bytes',
  oid: 'text',
  isSubmodule: 'number',
  mode: 'number',
  revision: 'text',
  path: 'bytes',
  type: 'number',
});

type Blob = MessageInitShape<typeof GetBlobsResponseSchema>;

/**
 * Messages of small blobs, encoded, that go out together: to send a message costs more than to
 * encode one.
 */
export class BlobGroup {
  #messages: Buffer[] = [];
  #bytes = 0;

  /** True when the messages should be sent. */
  get isFull(): boolean {
    return this.#bytes >= GROUP_BYTES;
  }

  add(blob: Blob): void {
    const message = encodeWith((writer) => {
      writer.number(FIELDS.type, blob.type);
      writer.bytes(FIELDS.path, blob.path);
      writer.text(FIELDS.revision, blob.revision);
      writer.number(FIELDS.mode, blob.mode);
      writer.number(FIELDS.isSubmodule, blob.isSubmodule === true ? 1 : 0);
      writer.text(FIELDS.oid, blob.oid);
      writer.bytes(FIELDS.data, blob.data);
      writer.number(FIELDS.size, blob.size);
    });
    this.#messages.push(message);
    this.#bytes += message.length;
  }

  /** Yields the messages as one, and forgets them; nothing if there are none. */
  *take(): Generator<MessageShape<typeof GetBlobsResponseSchema>, void> {
    if (this.#messages.length === 0) return;
    const responses = readyResponses(this.#messages);
    this.#messages = [];
    this.#bytes = 0;
    yield readyMessage(GetBlobsResponseSchema, responses);
  }
}
