import { isMessage } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { ErrorDetail } from '#base/gitaly-error';

/**
 * Type of log facts that the server sends in Gitaly's own tests; it is not part of the interface.
 */
const TYPE_URL = /\/testproto\.ErrorMetadata$/;
const KEY = 1;
const VALUE = 2;

/** Returns the key-value pairs among an error's details. Unreadable pairs are omitted. */
export function readErrorMetadata(details: readonly ErrorDetail[]): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const detail of details) {
    if (!isMessage(detail, AnySchema) || !TYPE_URL.test(detail.typeUrl)) continue;
    try {
      pairs.push(readPair(detail.value));
    } catch {
      // the pair is only meant for the log
    }
  }
  return Object.fromEntries(pairs);
}

function readPair(bytes: Uint8Array): [key: string, value: string] {
  const reader = new BinaryReader(bytes);
  let [key, value] = ['', ''];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === KEY) key = Buffer.from(reader.bytes()).toString();
    else if (field === VALUE) value = Buffer.from(reader.bytes()).toString();
    else reader.skip(wireType);
  }
  return [key, value];
}
