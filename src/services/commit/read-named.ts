import { mapAhead } from '#base/map-ahead';
import type { ObjectReader } from '#git/objects/object-reader';
import type { Commit } from '#git/objects/parse-commit';
import type { HandlerContext } from '#rpc/server/handler';
import { usesMailmap } from '../convert/feature-flags.ts';

/** So many questions are under way at once: enough to keep git busy, few enough to hold their answers. */
const LOOK_AHEAD = 64;

/** What was asked for, and the commit it leads to; `undefined` when it leads to none. */
export interface NamedCommit<R> {
  readonly revision: R;
  readonly commit: Commit | undefined;
}

/** Reads the commits that revisions lead to, in order, through the shared process. */
export async function* readNamed<R extends string | Uint8Array>(
  objects: ObjectReader,
  revisions: readonly R[],
  context: HandlerContext,
): AsyncGenerator<NamedCommit<R>> {
  const options = { signal: context.signal, mailmap: usesMailmap(context) };
  yield* mapAhead(revisions, LOOK_AHEAD, async (revision) => ({ revision, commit: await objects.readCommit(revision, options) }));
}
