import { type FileHandle, open } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { Limit, type Turn } from '#base/limits/limit';
import { requireReferenceSettings } from '#domain/git-service/reference-settings';
import type { TraceFile } from '#domain/git-service/trace-file';
import { type BitmapFile, countBits, firstGap, removeBits } from '#git/bitmap/bitmap-file';
import { BitmappedPacks } from '#git/bitmap/bitmapped-packs';
import { type ChosenObjects, ObjectChoice } from '#git/bitmap/choose-objects';
import type { PackOrder, PackRange } from '#git/bitmap/pack-order';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { requireNotGrafted } from '#git/history/graph/commit-nodes';
import { OID_BYTES, OID_DIGITS } from '#git/names/object-id';
import { objectsInPack, PACK_HEADER_BYTES } from '#git/objects/pack-header';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import type { Fetch } from '../fetch.ts';
import { type FetchArguments, LEFT_OUT, parseArguments } from '../fetch-arguments.ts';
import type { FetchRequest } from '../request-parser.ts';
import { negotiate } from '../walked-packs/negotiate.ts';
import { walkedRequest } from '../walked-packs/walked-request.ts';
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
  /** Bit up to which all objects are chosen, and have their bases. */
  readonly gap: number;
}

/** The objects of some packs that are sent. */
export interface SelectedObjects {
  readonly packs: BitmappedPacks;
  readonly bitmap: BitmapFile;
  readonly order: PackOrder;
  /** By the order. */
  readonly bits: Uint32Array;
  /** Those that the client has, which may be bases of deltas. */
  readonly ofClient: Uint32Array | undefined;
  readonly oidBytes: number;
}

/** Everything that a client needs: objects of some packs, and others. Disposing closes the files. */
export interface ReusedPacks extends AsyncDisposable {
  /** Sections of the response before the pack. */
  readonly head: Buffer;
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
const clones = new Limit<Storage>({ name: 'clones', capacity: 2 });
/** A choice takes ten milliseconds, and git ten times as long: waiting for some of them is quicker. */
const fetches = new Limit<Storage>({ name: 'fetches', capacity: 2, maxWaiting: 16 });

const OTHER_REQUEST = new FallBackToGit('the request is not a plain clone or fetch');
const FILES = new FallBackToGit('the client wants no commits');
const MANY_PACKS = new FallBackToGit('there are too many packs');
const OUTSIDE = new FallBackToGit('commits are in no pack with bitmaps');
const IN_USE = new FallBackToGit('bitmaps are in use');
const SAME_OBJECTS = new FallBackToGit('several packs have the same object');

/**
 * Finds the objects for a request in the packs of a repository, by git's bitmaps, and starts git
 * for those that were added since.
 *
 * @throws {FallBackToGit} when git has to choose the objects; the system's error; {GitalyError} of
 *   an abort.
 */
export async function findReusedPacks(
  fetch: Pick<Fetch, 'config' | 'repository'>,
  request: FetchRequest,
  { signal, trace }: ReuseOptions,
): Promise<ReusedPacks> {
  const { config, repository } = fetch;
  const given = parsedRequest(request);
  const digits = OID_DIGITS[repository.objectFormat];
  if (!request.wants.every(({ length }) => length === digits)) throw OTHER_REQUEST;
  // git tells a client where the history of a shallow repository ends.
  requireNotGrafted(repository.commits);
  const { allowsFilter } = requireReferenceSettings(repository, 'upload-pack', config);
  if (given.filter !== undefined && !allowsFilter) throw OTHER_REQUEST;
  if (await areFiles(repository, request.wants, signal)) throw FILES;
  await using opened = new AsyncDisposableStack();
  const bitmapped = opened.use(BitmappedPacks.open(repository));
  // New commits are in no such pack: that is known before the negotiation.
  if (given.haves.length > 0) await requireNear(bitmapped, given.wants, signal);
  const { head, haves } = await commonWith(fetch, request, { given, signal });
  if (haves.length > 0) await requireNear(bitmapped, haves, signal);
  const { release } = await turnFor(repository.storage, haves, signal);
  let chosen: Choice;
  try {
    chosen = await choose(bitmapped, { ...given, haves }, { repository, signal });
  } finally {
    release();
    bitmapped.forgetPages();
  }
  const { bitmap, bits, ofClient, order } = chosen;
  if (order.packs.length > MAX_PACKS) throw MANY_PACKS;
  const oidBytes = OID_BYTES[repository.objectFormat];
  const packs: ReusedPack[] = [];
  for (const range of order.packs) {
    const pack = await openPack(opened.use(await open(`${range.stem}.pack`)), oidBytes);
    if (pack.count !== range.end - range.first) throw SAME_OBJECTS;
    const gap = firstGap(bits, range.first, range.end);
    const hasBases = gap === range.end || bitmapped.hasBasesFirst;
    packs.push({ ...pack, range, gap: hasBases ? gap : range.first });
  }
  const beyond = await packBeyond(repository, chosen.others, { signal, trace });
  if (beyond !== undefined) opened.use(beyond);
  const kept = opened.move();
  return {
    head,
    packs,
    selected: { packs: bitmapped, bitmap, order, bits, ofClient, oidBytes },
    count: countBits(bits),
    beyond,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

interface ParsedRequest extends FetchArguments {
  readonly wants: readonly string[];
}

/**
 * A client that has commits must have all that they need, and accept deltas to it.
 *
 * @throws {FallBackToGit} for another request than a plain clone or fetch.
 */
function parsedRequest({ others, wants }: FetchRequest): ParsedRequest {
  const given = parseArguments(others);
  if (given?.hasOffsets !== true || given.depth !== undefined || given.shallow.length > 0)
    throw OTHER_REQUEST;
  const isPlain = given.haves.length === 0 ? given.isDone : given.isThin && given.filter === undefined;
  if (!isPlain) throw OTHER_REQUEST;
  return { ...given, wants };
}

/** Returns the commits that a client has of the repository, and the answer about them. */
async function commonWith(
  fetch: Pick<Fetch, 'config' | 'repository'>,
  request: FetchRequest,
  { given, signal }: { readonly given: ParsedRequest; readonly signal: AbortSignal },
): Promise<{ readonly head: Buffer; readonly haves: readonly string[] }> {
  if (given.haves.length === 0) return { head: Buffer.alloc(0), haves: [] };
  const { answer, common, isReady } = await negotiate(
    fetch.repository,
    walkedRequest(fetch, request),
    signal,
  ).catch(fallBackOnFailure);
  if (!isReady) throw new FallBackToGit('the repository has changed');
  return { head: answer, haves: common };
}

/** Checks that commits are in the packs, before the bitmaps are read. @throws {FallBackToGit} */
async function requireNear(
  packs: BitmappedPacks,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (!packs.isQuick) throw new FallBackToGit('bitmaps are large');
  const slice = new LoopSlice();
  for (const oid of oids) {
    if (slice.isOverAfterItem()) await slice.pause(signal);
    if (packs.indexOf(Buffer.from(oid, 'hex')) === undefined) throw OUTSIDE;
  }
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

/**
 * Waits for a turn to choose objects. Fetches of clients with commits do not wait for clones, which
 * may wait for git's list of what is in no pack.
 *
 * @throws {FallBackToGit} when many such fetches wait; {GitalyError} of an abort.
 */
async function turnFor(storage: Storage, haves: readonly string[], signal: AbortSignal): Promise<Turn> {
  if (haves.length === 0) return await clones.acquire(storage, { signal });
  return await fetches.acquire(storage, { signal }).catch((error: unknown) => {
    throw signal.aborted ? error : IN_USE;
  });
}

interface Choice extends ChosenObjects {
  /** Lines of the objects that are not in the packs. */
  readonly others: readonly Buffer[];
  readonly ofClient: Uint32Array | undefined;
}

async function choose(
  packs: BitmappedPacks,
  { filter, haves, includesTags, wants }: ParsedRequest,
  { repository, signal }: Pick<Fetch, 'repository' | 'signal'>,
): Promise<Choice> {
  const { objectFormat, objects } = repository;
  const leftOut = filter === undefined ? [] : LEFT_OUT[filter];
  const isNear = haves.length > 0;
  const options = { objects, oidBytes: OID_BYTES[objectFormat], leftOut, isNear, signal };
  const ofClient = isNear ? (await (await ObjectChoice.start(packs, options)).addAll(haves)).bits : undefined;
  const choice = await ObjectChoice.start(packs, { ...options, known: ofClient });
  const chosen = await choice.addAll(wants);
  if (ofClient !== undefined) removeBits(chosen.bits, ofClient);
  const lines = await choice.addListed(await listBeyond(repository, { ...chosen, filter }, signal));
  if (leftOut.length > 0) choice.dropTypes(leftOut);
  if (includesTags) {
    for await (const tags of repository.refs.list({ patterns: ['refs/tags/'] }, { signal }))
      await choice.addTags(tags);
    if (ofClient !== undefined) removeBits(chosen.bits, ofClient);
  }
  return { ...chosen, ofClient, others: lines };
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
