import type { ListedRef } from '#git/refs/storage/listed-ref';
import { chunkBatches } from '#services/convert/response/chunk-batches';
import { fieldBytes } from '#wire/fast/fields';

/** Yields the names of references, without their common prefix, in messages of about 1 MiB. */
export function chunkNames(
  list: AsyncIterable<readonly ListedRef[]>,
  prefix = '',
): AsyncGenerator<Buffer[], void> {
  return chunkBatches(namesOf(list, prefix.length), ({ length }) => fieldBytes(length));
}

async function* namesOf(
  list: AsyncIterable<readonly ListedRef[]>,
  start: number,
): AsyncGenerator<Buffer[], void> {
  for await (const refs of list) yield refs.map(({ name }) => name.subarray(start));
}
