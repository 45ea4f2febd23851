import { isMessage } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { ErrorDetail } from '#base/gitaly-error';

/** Gitaly's own tests let the server send its log facts; the type is no part of the interface. */
const TYPE_URL = /\/testproto\.ErrorMetadata$/;
const KEY = 1;
const VALUE = 2;

/** The key and value pairs among an error's details. Pairs that cannot be read are left out. */
export function readErrorMetadata(details: readonly ErrorDetail[]): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const detail of details) {
    if (!isMessage(detail, AnySchema) || !TYPE_URL.test(detail.typeUrl)) continue;
    try {
      pairs.push(readPair(detail.value));
    } catch {
      // a fact for the log; the error itself stands
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
