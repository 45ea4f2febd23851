import type { ListedRef } from '#git/refs/listed-ref';
import { fieldBytes } from '#wire/fast/fields';
import { chunkBatches } from '../convert/chunk-batches.ts';

/** The names of references in messages of about 1 MiB, without a beginning that all of them have. */
export function chunkNames(list: AsyncIterable<readonly ListedRef[]>, prefix = ''): AsyncGenerator<Buffer[], void> {
  return chunkBatches(namesOf(list, prefix.length), ({ length }) => fieldBytes(length));
}

async function* namesOf(list: AsyncIterable<readonly ListedRef[]>, start: number): AsyncGenerator<Buffer[], void> {
  for await (const refs of list) yield refs.map(({ name }) => name.subarray(start));
}
