import { GitalyError, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { validateRevision } from '#git/names/validate-revision';
import type { ObjectReader, ReadOptions } from '#git/objects/object-reader';
import type { BlobPair } from './blob-pairs.ts';

/** Two requested sides: a full id, `revision:path`, or a zero id for an absent side. */
export interface BlobNames {
  readonly leftBlob: Uint8Array;
  readonly rightBlob: Uint8Array;
}

export interface ResolveOptions extends ReadOptions {
  readonly zeroOid: string;
  /** Checks a full id. @throws an error that describes its problem. */
  readonly requireOid: (text: string) => void;
}

/** Number of pairs whose blobs are looked up concurrently. */
const MAX_PAIRS = 128;

/**
 * Finds the blobs of pairs.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for the first side that is not a blob (`getting left blob
 *   info: …`), or the first pair of equal blobs.
 */
export async function resolveBlobPairs(
  objects: ObjectReader,
  names: readonly BlobNames[],
  options: ResolveOptions,
): Promise<BlobPair[]> {
  const pairs: BlobPair[] = [];
  for (let at = 0; at < names.length; at += MAX_PAIRS) {
    const lookups = names.slice(at, at + MAX_PAIRS).map((pair) => resolvePair(objects, pair, options));
    // The first error in the order of the request is reported, not the first to occur.
    for (const result of await Promise.allSettled(lookups)) {
      if (result.status === 'rejected') throw result.reason;
      pairs.push(result.value);
    }
  }
  return pairs;
}

async function resolvePair(
  objects: ObjectReader,
  { leftBlob, rightBlob }: BlobNames,
  options: ResolveOptions,
): Promise<BlobPair> {
  const [leftRevision, rightRevision] = [Buffer.from(leftBlob), Buffer.from(rightBlob)];
  const [left, right] = await Promise.allSettled([
    resolveBlob(objects, leftRevision, options),
    resolveBlob(objects, rightRevision, options),
  ]);
  if (left.status === 'rejected') throw wrap(left.reason, 'getting left blob info', 'INVALID_ARGUMENT');
  if (right.status === 'rejected') throw wrap(right.reason, 'getting right blob info', 'INVALID_ARGUMENT');
  if (left.value === right.value) {
    throw invalidArgument('left and right blob revisions resolve to same OID', {
      metadata: { left_revision: leftRevision.toString(), right_revision: rightRevision.toString() },
    });
  }
  return { leftRevision, rightRevision, leftOid: left.value, rightOid: right.value };
}

async function resolveBlob(
  objects: ObjectReader,
  revision: Buffer,
  options: ResolveOptions,
): Promise<string> {
  if (revision.toString('latin1') === options.zeroOid) return options.zeroOid;
  if (revision.includes(':')) {
    const problem = validateRevision(revision, { allowPathScoped: true });
    if (problem !== undefined)
      throw new GitalyError('UNKNOWN', `validating path-scoped revision: ${problem}`);
  } else {
    try {
      options.requireOid(revision.toString());
    } catch (error) {
      throw wrap(error, 'validating blob ID');
    }
  }
  const found = await objects.info(revision, options).catch(wrapped('getting revision info', 'UNKNOWN'));
  if (found === undefined) throw new GitalyError('UNKNOWN', 'getting revision info: object not found');
  if (found.type !== 'blob') throw new GitalyError('UNKNOWN', 'revision is not blob');
  return found.oid;
}
