import { chunkBySize } from '#base/chunk-by-size';
import { flatten } from '#base/flatten';
import type { ListedRef } from '#git/refs/listed-ref';

/** The names of references in messages of about 1 MiB, without a beginning that all of them have. */
export async function* chunkNames(list: AsyncIterable<readonly ListedRef[]>, prefix = ''): AsyncGenerator<Buffer[], void> {
  const sizeOf = (name: Buffer): number => 1 + varintBytes(name.length) + name.length;
  for await (const names of chunkBySize(flatten(namesOf(list, prefix.length)), { sizeOf })) yield names;
}

async function* namesOf(list: AsyncIterable<readonly ListedRef[]>, start: number): AsyncGenerator<Buffer[], void> {
  for await (const refs of list) yield refs.map(({ name }) => name.subarray(start));
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}
