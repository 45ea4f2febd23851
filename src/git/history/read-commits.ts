import { GitalyError } from '#base/gitaly-error';
import type { ObjectReader } from '../objects/object-reader.ts';
import { type Commit, parseCommit } from '../objects/parse-commit.ts';

/** So many are asked of the shared process, which is quick to answer; for more a process of their own is started. */
const MAX_SHARED = 128;

/**
 * Reads commits that are named by their full ids, in order, with the mailmap of HEAD, in batches as they come. A reader that is slow slows
 * the source down, one that leaves ends it.
 *
 * @throws {GitalyError} without a code, `object not found`, for an id without a commit; whatever the source throws, once everything before
 *   it has been given.
 */
export async function* readCommits(
  objects: ObjectReader,
  source: AsyncIterable<readonly string[]>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Commit[], void, undefined> {
  const batches = source[Symbol.asyncIterator]();
  try {
    for (let shared = 0; shared < MAX_SHARED; ) {
      const { done, value: oids } = await batches.next();
      if (done === true) return;
      const few = oids.slice(0, MAX_SHARED - shared);
      shared += few.length;
      const commits = await Promise.all(few.map((oid) => objects.readCommit(oid, { signal })));
      yield commits.map((commit) => commit ?? notFound());
      if (few.length < oids.length) {
        yield* readApart(objects, { first: oids.slice(few.length), batches, signal });
        return;
      }
    }
    yield* readApart(objects, { first: [], batches, signal });
  } finally {
    await batches.return?.();
  }
}

interface Rest {
  readonly first: readonly string[];
  readonly batches: AsyncIterator<readonly string[]>;
  readonly signal: AbortSignal | undefined;
}

async function* readApart(objects: ObjectReader, { first, batches, signal }: Rest): AsyncGenerator<Commit[], void, undefined> {
  async function* named(): AsyncGenerator<{ oid: string }[]> {
    yield first.map((oid) => ({ oid }));
    for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
      yield next.value.map((oid) => ({ oid }));
    }
  }
  const mailmap = await objects.mailmap();
  for await (const batch of objects.readMany(named, { signal })) {
    yield batch.map(({ object }) => (object?.type === 'commit' ? parseCommit(object.oid, object.data, mailmap) : notFound()));
  }
}

function notFound(): never {
  throw new GitalyError('UNKNOWN', 'object not found');
}
