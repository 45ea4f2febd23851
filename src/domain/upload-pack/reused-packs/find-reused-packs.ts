import { type FileHandle, open } from 'node:fs/promises';
import { Limit } from '#base/limits/limit';
import { requireReferenceSettings } from '#domain/git-service/reference-settings';
import type { TraceFile } from '#domain/git-service/trace-file';
import { countBits, firstGap } from '#git/bitmap/bitmap-file';
import { BitmappedPacks } from '#git/bitmap/bitmapped-packs';
import { type ChosenObjects, ObjectChoice } from '#git/bitmap/choose-objects';
import type { PackOrder, PackRange } from '#git/bitmap/pack-order';
import { FallBackToGit } from '#git/command/in-process';
import { OID_BYTES, OID_DIGITS } from '#git/names/object-id';
import { objectsInPack, PACK_HEADER_BYTES } from '#git/objects/pack-header';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import type { Fetch } from '../fetch.ts';
import { type FetchArguments, LEFT_OUT, parseArguments } from '../fetch-arguments.ts';
import type { FetchRequest } from '../request-parser.ts';
import { listBeyond, type PackBeyond, packBeyond } from './pack-beyond.ts';

/** A pack that is sent as it is. */
interface OpenPack {
  readonly file: FileHandle;
  /** Position of its checksum: the end of its objects. */
  readonly end: number;
  /** Number of objects. */
  readonly count: number;
}

/** A pack whose chosen entries are sent as stored. */
export interface ReusedPack extends OpenPack {
  readonly range: PackRange;
  /** Bit of the first object that is not chosen; the end of the range if all are. */
  readonly gap: number;
}

/** The objects of some packs that are sent. */
export interface SelectedObjects {
  readonly packs: BitmappedPacks;
  readonly order: PackOrder;
  /** By the order. */
  readonly bits: Uint32Array;
  readonly oidBytes: number;
}

/** Everything that a clone needs: objects of some packs, and others. Disposing closes the files. */
export interface ReusedPacks extends AsyncDisposable {
  readonly packs: readonly ReusedPack[];
  readonly selected: SelectedObjects;
  /** Number of objects of the packs. */
  readonly count: number;
  readonly beyond: PackBeyond | undefined;
}

export interface ReuseOptions {
  /** Of the git that packs what is in no pack. */
  readonly trace: Pick<TraceFile, 'env'>;
  readonly signal: AbortSignal;
}

/** Files for which bitmaps are not read. */
const MAX_FILES = 1000;
/** Limit of packs that are open for one clone. */
const MAX_PACKS = 32;
/** Each holds a file of bitmaps, an order and pages of an index: up to 100 MiB, usually a tenth. */
const choices = new Limit<Storage>({ name: 'clones', capacity: 2 });

const OTHER_REQUEST = new FallBackToGit('the request is not a plain clone');
const FILES = new FallBackToGit('the client wants no commits');
const MANY_PACKS = new FallBackToGit('there are too many packs');
const SAME_OBJECTS = new FallBackToGit('several packs have the same object');

/**
 * Finds the objects for a request in the packs of a repository, by git's bitmaps, and starts git
 * for those that were added since.
 *
 * @throws {FallBackToGit} when git has to choose the objects; the system's error; {GitalyError} of
 *   an abort.
 */
export async function findReusedPacks(
  { config, repository }: Pick<Fetch, 'config' | 'repository'>,
  request: FetchRequest,
  { signal, trace }: ReuseOptions,
): Promise<ReusedPacks> {
  const clone = cloneOf(request);
  const digits = OID_DIGITS[repository.objectFormat];
  if (!request.wants.every(({ length }) => length === digits)) throw OTHER_REQUEST;
  const { allowsFilter } = requireReferenceSettings(repository, 'upload-pack', config);
  if (clone.filter !== undefined && !allowsFilter) throw OTHER_REQUEST;
  if (await areFiles(repository, request.wants, signal)) throw FILES;
  await using opened = new AsyncDisposableStack();
  const bitmapped = opened.use(BitmappedPacks.open(repository));
  const { release } = await choices.acquire(repository.storage, { signal });
  let chosen: Choice;
  try {
    chosen = await choose(bitmapped, clone, { repository, signal });
  } finally {
    release();
    bitmapped.forgetPages();
  }
  const { bits, order } = chosen;
  if (order.packs.length > MAX_PACKS) throw MANY_PACKS;
  const oidBytes = OID_BYTES[repository.objectFormat];
  const packs: ReusedPack[] = [];
  for (const range of order.packs) {
    const pack = await openPack(opened.use(await open(`${range.stem}.pack`)), oidBytes);
    if (pack.count !== range.end - range.first) throw SAME_OBJECTS;
    packs.push({ ...pack, range, gap: firstGap(bits, range.first, range.end) });
  }
  const beyond = await packBeyond(repository, chosen.others, { signal, trace });
  if (beyond !== undefined) opened.use(beyond);
  const kept = opened.move();
  return {
    packs,
    selected: { packs: bitmapped, order, bits, oidBytes },
    count: countBits(bits),
    beyond,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A request of a client that has nothing. */
interface Clone extends FetchArguments {
  readonly wants: readonly string[];
}

function cloneOf({ others, wants }: FetchRequest): Clone {
  const given = parseArguments(others);
  const isClone =
    given?.isDone === true &&
    given.hasOffsets &&
    given.depth === undefined &&
    given.haves.length === 0 &&
    given.shallow.length === 0;
  if (!isClone) throw OTHER_REQUEST;
  return { ...given, wants };
}

/** Reports whether a client asks for files and directories, as partial clones do later. */
async function areFiles(
  { objects }: Repository,
  wants: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  if (wants.length > MAX_FILES) return false;
  for (const want of wants) {
    const info = await objects.info(want, { signal });
    if (info?.type !== 'blob' && info?.type !== 'tree') return false;
  }
  return true;
}

interface Choice extends ChosenObjects {
  /** Lines of the objects that are not in the packs. */
  readonly others: readonly Buffer[];
}

async function choose(
  packs: BitmappedPacks,
  { filter, includesTags, wants }: Clone,
  { repository, signal }: Pick<Fetch, 'repository' | 'signal'>,
): Promise<Choice> {
  const choice = await ObjectChoice.start(packs, { objects: repository.objects, signal });
  const chosen = await choice.addAll(wants);
  const lines = await choice.addListed(await listBeyond(repository, { ...chosen, filter }, signal));
  if (filter !== undefined) choice.dropTypes(LEFT_OUT[filter]);
  if (includesTags)
    for await (const tags of repository.refs.list({ patterns: ['refs/tags/'] }, { signal }))
      await choice.addTags(tags);
  return { ...chosen, others: lines };
}

/**
 * Reads the description of a pack. The caller closes the file.
 *
 * @throws {FallBackToGit} if it is not a pack of version 2; the system's error.
 */
async function openPack(file: FileHandle, checksumBytes: number): Promise<OpenPack> {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  await file.read(header, 0, header.length, 0);
  const end = (await file.stat()).size - checksumBytes;
  const count = objectsInPack(header);
  if (count === undefined || end < header.length) throw new FallBackToGit('a pack is not as git writes it');
  return { file, end, count };
}
