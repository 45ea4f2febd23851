import { mapAhead } from '#base/streams/map-ahead';
import type { ObjectType } from '#git/names/object-info';
import { BodyCollector } from '#git/objects/cat-file/body-collector';
import type { ObjectReader, PeopleOptions } from '#git/objects/object-reader';
import { isParsable } from '#git/objects/parse/is-parsable';
import { type Commit, parseCommitInTurns } from '#git/objects/parse/parse-commit';
import { parseTagInTurns, type Tag } from '#git/objects/parse/parse-tag';
import type { ListedRef } from '../storage/listed-ref.ts';

/** A reference and its commit; `undefined` for another object, or none. */
export interface RefCommit {
  readonly ref: ListedRef;
  readonly commit: Commit | undefined;
}

/** A reference and the objects that it leads to. */
export interface RefTag {
  readonly ref: ListedRef;
  /** `undefined` if the reference does not point to a tag object. */
  readonly tag: Tag | undefined;
  /** The final commit; `undefined` for another object. */
  readonly commit: Commit | undefined;
  /** True if an object on the way is missing. */
  readonly isMissing: boolean;
}

type Batches = AsyncIterable<readonly ListedRef[]>;

/**
 * Number of references that the shared process reads, all at once; for more a dedicated process is
 * faster.
 */
const FEW = 100;
const NO_DATA = Buffer.alloc(0);

/**
 * Reads the objects of references, in the order of the list, in batches as they become available:
 * commits and tags whole, of other objects only the type. Ends the list.
 */
export async function* readRefObjects(
  objects: ObjectReader,
  list: Batches,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Contents<ListedRef>[], void> {
  const refs = list[Symbol.asyncIterator]();
  try {
    const { taken, isAll } = await takeFew(refs);
    if (isAll)
      for await (const each of mapAhead(taken, FEW, (ref) => readObject(objects, ref, signal))) yield [each];
    else yield* readContents(objects, () => questions(taken, refs, (ref) => [ref]), { signal });
  } finally {
    await refs.return?.();
  }
}

/** A reference whose object the caller knows. */
interface KnownObject {
  readonly item: ListedRef;
  readonly type: undefined;
  readonly data: undefined;
}

export interface UnknownObjectOptions {
  /** Reports whether the caller knows an object: it is not read. */
  isKnown(oid: string): boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * As {@link readRefObjects}, for a caller that knows most objects: those are not read. From the
 * hundredth unknown one on, all are.
 */
export async function* readUnknownRefObjects(
  objects: ObjectReader,
  list: Batches,
  { isKnown, signal }: UnknownObjectOptions,
): AsyncGenerator<(Contents<ListedRef> | KnownObject)[], void> {
  const refs = list[Symbol.asyncIterator]();
  let count = 0;
  try {
    for (let next = await refs.next(); !next.done; next = await refs.next()) {
      const batch = next.value;
      const unknown = batch.filter(({ oid }) => !isKnown(oid));
      count += unknown.length;
      if (count > FEW) return yield* readRefObjects(objects, startingWith(batch, refs), { signal });
      const read = await Array.fromAsync(mapAhead(unknown, FEW, (ref) => readObject(objects, ref, signal)));
      yield batch.map((item) =>
        isKnown(item.oid) ? knownObject(item) : (read.shift() ?? knownObject(item)),
      );
    }
  } finally {
    await refs.return?.();
  }
}

function knownObject(item: ListedRef): KnownObject {
  return { item, type: undefined, data: undefined };
}

/** Yields a batch, and then the rest of a list. */
async function* startingWith(
  batch: readonly ListedRef[],
  rest: AsyncIterator<readonly ListedRef[]>,
): AsyncGenerator<readonly ListedRef[], void> {
  yield batch;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

async function readObject(
  objects: ObjectReader,
  ref: ListedRef,
  signal: AbortSignal | undefined,
): Promise<Contents<ListedRef>> {
  const object = await objects.openObject(ref.oid, { signal });
  let data = object?.data ?? NO_DATA;
  if (object !== undefined && object.data === undefined) {
    if (hasText(object.type)) {
      const body = new BodyCollector(object.size);
      for await (const piece of object.stream) body.add(piece);
      data = body.data;
    } else object.stream.destroy();
  }
  return { item: ref, oid: ref.oid, type: object?.type, data };
}

/**
 * Reads the commits of references, with tags peeled, in the order of the list, in batches as they
 * become available. Ends the list.
 */
export async function* readRefCommits(
  objects: ObjectReader,
  list: Batches,
  options: PeopleOptions = {},
): AsyncGenerator<RefCommit[], void> {
  const mailmap = objects.mailmapFor(options);
  for await (const contents of readRefObjects(objects, list, options)) {
    const commits: RefCommit[] = [];
    for (const { item: ref, oid, type, data } of contents) {
      const isRead = type === 'commit' && isParsable({ oid, type, data });
      const isAsked = !isRead && hasText(type);
      commits.push({
        ref,
        commit: isRead
          ? await parseCommitInTurns(oid, data, await mailmap)
          : isAsked
            ? await objects.readCommit(ref.oid, { ...options, mailmap })
            : undefined,
      });
    }
    yield commits;
  }
}

/**
 * Reads the objects of references as tags, in the order of the list, in batches as they become
 * available. Ends the list.
 */
export async function* readRefTags(
  objects: ObjectReader,
  list: Batches,
  given: PeopleOptions = {},
): AsyncGenerator<RefTag[], void> {
  const options = { ...given, mailmap: objects.mailmapFor(given) };
  const refs = list[Symbol.asyncIterator]();
  try {
    const { taken, isAll } = await takeFew(refs);
    if (isAll)
      for await (const tag of mapAhead(taken, FEW, (ref) => readRefTag(objects, ref, options))) yield [tag];
    else yield* tagsInBulk(objects, () => questions(taken, refs, questionsOf), options);
  } finally {
    await refs.return?.();
  }
}

async function* tagsInBulk(
  objects: ObjectReader,
  source: () => AsyncIterable<Question[]>,
  options: PeopleOptions,
): AsyncGenerator<RefTag[], void> {
  const mailmap = await objects.mailmapFor(options);
  let tag: RefTag | undefined;
  for await (const answers of readContents(objects, source, options)) {
    const tags: RefTag[] = [];
    for (const { item, oid, type, data } of answers) {
      const { ref } = item;
      if (tag === undefined || item.isFirst) {
        tag = {
          ref,
          tag: type === 'tag' ? await parseTagInTurns(oid, data, mailmap) : undefined,
          commit: type === 'commit' ? await parseCommitInTurns(oid, data, mailmap) : undefined,
          isMissing: type === undefined,
        };
      } else if (tag.tag !== undefined) {
        tag = {
          ...tag,
          commit: type === 'commit' ? await parseCommitInTurns(oid, data, mailmap) : undefined,
          isMissing: type === undefined,
        };
      }
      if (!item.isLast) continue;
      // A tag object that packed-refs does not have: git could not follow it when it wrote the
      // file.
      tags.push(tag.tag !== undefined && item.isFirst ? await readRefTag(objects, ref, options) : tag);
    }
    yield tags;
  }
}

/** Reads the object of one reference as a tag. */
export async function readRefTag(
  objects: ObjectReader,
  ref: ListedRef,
  options: PeopleOptions = {},
): Promise<RefTag> {
  const { signal } = options;
  const mailmap = objects.mailmapFor(options);
  const [object, commit] = await Promise.all([
    objects.openObject(ref.oid, { signal }),
    objects.readCommit(ref.oid, { signal, mailmap }),
  ]);
  if (object?.data === undefined) object?.stream.destroy();
  if (object?.type !== 'tag') return { ref, tag: undefined, commit, isMissing: object === undefined };
  const tag =
    object.data === undefined
      ? await objects.readTag(ref.oid, { signal, mailmap })
      : await parseTagInTurns(ref.oid, object.data, await mailmap);
  const isMissing = commit === undefined && (await objects.info(`${ref.oid}^{}`, { signal })) === undefined;
  return { ref, tag, commit, isMissing };
}

/**
 * A request to cat-file. For a possible tag object there are two: the object, and its final target.
 */
interface Question {
  readonly oid: string;
  readonly ref: ListedRef;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** git's data of an item. */
export interface Contents<T> {
  readonly item: T;
  readonly oid: string;
  /** `undefined` if there is no such object. */
  readonly type: ObjectType | undefined;
  /** Contents of a commit or a tag. */
  readonly data: Buffer;
}

function questionsOf(ref: ListedRef): Question[] {
  const { oid, peeledOid, isPeelKnown } = ref;
  if (peeledOid === undefined && isPeelKnown) return [{ oid, ref, isFirst: true, isLast: true }];
  return [
    { oid, ref, isFirst: true, isLast: false },
    { oid: peeledOid ?? `${oid}^{}`, ref, isFirst: false, isLast: true },
  ];
}

/** Reads commits and tags whole; contents of other objects, which may be large, are skipped. */
async function* readContents<T extends { readonly oid: string }>(
  objects: ObjectReader,
  source: () => AsyncIterable<T[]>,
  { signal }: PeopleOptions,
): AsyncGenerator<Contents<T>[], void> {
  let kept: BodyCollector | undefined;
  let bytes = 0;
  for await (const pieces of objects.readPieces(source, { signal })) {
    const contents: Contents<T>[] = [];
    for (const { item, info, data } of pieces) {
      bytes += data.length;
      if (info !== undefined && hasText(info.type)) {
        kept ??= new BodyCollector(info.size);
        kept.add(data);
      }
      if (info !== undefined && bytes < info.size) continue;
      contents.push({ item, oid: info?.oid ?? '', type: info?.type, data: kept?.data ?? NO_DATA });
      kept = undefined;
      bytes = 0;
    }
    if (contents.length > 0) yield contents;
  }
}

function hasText(type: ObjectType | undefined): boolean {
  return type === 'commit' || type === 'tag';
}

/** Takes the beginning of a list. The caller ends the list. */
async function takeFew(
  list: AsyncIterator<readonly ListedRef[]>,
): Promise<{ taken: ListedRef[]; isAll: boolean }> {
  const taken: ListedRef[] = [];
  while (taken.length <= FEW) {
    const { done, value } = await list.next();
    if (done) return { taken, isAll: true };
    taken.push(...value);
  }
  return { taken, isAll: false };
}

/** Yields the items taken from a list, and the rest of it, as requests. */
async function* questions<Q>(
  taken: readonly ListedRef[],
  list: AsyncIterator<readonly ListedRef[]>,
  toQuestions: (ref: ListedRef) => readonly Q[],
): AsyncGenerator<Q[], void> {
  yield taken.flatMap(toQuestions);
  for (let next = await list.next(); !next.done; next = await list.next())
    yield next.value.flatMap(toQuestions);
}
