import { chunkBySize } from '#base/chunk-by-size';
import { flatten } from '#base/flatten';
import type { ListedRef } from '#git/refs/listed-ref';
import { fieldBytes } from '#wire/fast/fields';

/** The names of references in messages of about 1 MiB, without a beginning that all of them have. */
export async function* chunkNames(list: AsyncIterable<readonly ListedRef[]>, prefix = ''): AsyncGenerator<Buffer[], void> {
  const sizeOf = (name: Buffer): number => fieldBytes(name.length);
  for await (const names of chunkBySize(flatten(namesOf(list, prefix.length)), { sizeOf })) yield names;
}

async function* namesOf(list: AsyncIterable<readonly ListedRef[]>, start: number): AsyncGenerator<Buffer[], void> {
  for await (const refs of list) yield refs.map(({ name }) => name.subarray(start));
}
