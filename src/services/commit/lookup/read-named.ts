import { mapAhead } from '#base/streams/map-ahead';
import type { FoundCommit } from '#git/objects/found-commit';
import type { ObjectReader } from '#git/objects/object-reader';
import type { HandlerContext } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';

/**
 * Number of commits requested at once: enough to keep git busy, few enough to hold the responses.
 */
const BATCH = 64;

/** Requested revision and its commit; `undefined` when it resolves to none. */
export interface NamedCommit<R> {
  readonly revision: R;
  readonly commit: FoundCommit | undefined;
}

/**
 * Reads the commits that revisions lead to, in order, through the shared process; one batch is
 * requested while another is used. What was read before a revision that fails comes before the
 * error.
 */
export async function* readNamed<R extends string | Uint8Array>(
  objects: ObjectReader,
  revisions: readonly R[],
  context: HandlerContext,
): AsyncGenerator<NamedCommit<R>[]> {
  const mailmap = objects.mailmapFor({ mailmap: usesMailmap(context) });
  const options = { signal: context.signal, mailmap };
  const read = async (revision: R) => ({ revision, commit: await objects.findCommit(revision, options) });
  for await (const results of mapAhead(batchesOf(revisions), 2, (batch) =>
    Promise.allSettled(batch.map(read)),
  )) {
    const failure = results.find((result) => result.status === 'rejected');
    const before = failure === undefined ? results : results.slice(0, results.indexOf(failure));
    yield before.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    if (failure !== undefined) throw failure.reason;
  }
}

function* batchesOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += BATCH) yield items.slice(at, at + BATCH);
}
