import { webcrypto } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { fileStamp, NO_FILE } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { isOid } from '#git/names/object-id';
import { CommitGraph, commitBytes, type GraphLayer, layerBytes } from './commit-graph.ts';
import type { PathFilters } from './path-filters.ts';

const OID_BYTES: Readonly<Record<number, number>> = { 1: 20, 2: 32 };
const DIGESTS: Readonly<Record<number, string>> = { 20: 'SHA-1', 32: 'SHA-256' };
const HEADER_BYTES = 8;
const FAN_OUT_BYTES = 256 * 4;
/** Size of a row in the table of contents. */
const ROW_BYTES = 12;
/** A file has parts that are not kept, such as filters for which there is no place: it may be this much larger. */
const FILE_TO_KEPT_BYTES = 2;

/** The file is not what git has written: its data must not be used, by git either. */
export class CommitGraphDamage extends Error {}

/**
 * Returns the path of an object directory's graph: one file, or a chain of files listed in another
 * file.
 */
export function commitGraphFile(objectDirectory: string): string {
  return `${objectDirectory}/info/commit-graph`;
}

/** Returns the layers, the lowest first. */
export function commitGraphChain(objectDirectory: string): string {
  return `${objectDirectory}/info/commit-graphs/commit-graph-chain`;
}

/**
 * Reads the commit-graph of the first object directory; `undefined` if it cannot be used: it has an
 * unknown format, needs more than `maxBytes` in memory, or is just being replaced. The lower layers
 * of a chain may be in the other directories, which are its alternates.
 *
 * Compares each file with its checksum, in a thread: git does this only in `commit-graph verify`,
 * and takes parents and dates from a damaged file.
 *
 * @throws {CommitGraphDamage} for a damaged file; the system's errors, except for a missing file.
 */
export async function readCommitGraph(
  objectDirectories: readonly string[],
  maxBytes: number,
): Promise<CommitGraph | undefined> {
  const [objectDirectory = ''] = objectDirectories;
  try {
    const single = await readGraph([commitGraphFile(objectDirectory)], maxBytes);
    if (single !== undefined) return single;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  try {
    const names = (await readFile(commitGraphChain(objectDirectory), 'latin1')).split('\n').filter(Boolean);
    if (!names.every((name) => isOid(name)))
      throw new CommitGraphDamage('the chain has a line without a hash');
    return await readGraph(
      names.map((name) => layerFile(objectDirectories, name)),
      maxBytes,
      names,
    );
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Returns the file of a layer in the first directory that has it. */
function layerFile(objectDirectories: readonly string[], name: string): string {
  const files = objectDirectories.map((directory) => `${directory}/info/commit-graphs/graph-${name}.graph`);
  return files.find((file) => fileStamp(file) !== NO_FILE) ?? files[0] ?? '';
}

/** @param names hashes of the files, where they are layers of a chain. */
async function readGraph(
  files: readonly string[],
  maxBytes: number,
  names: readonly string[] = [],
): Promise<CommitGraph | undefined> {
  const layers: GraphLayer[] = [];
  let oidBytes: number | undefined;
  let left = maxBytes;
  for (const [index, file] of files.entries()) {
    const base = layers.reduce((sum, { count }) => sum + count, 0);
    await using handle = await open(file);
    const contents = await readContents(handle);
    oidBytes ??= contents?.oidBytes;
    if (contents === undefined || contents.oidBytes !== oidBytes) return undefined;
    const { size } = await handle.stat();
    if (size > left * FILE_TO_KEPT_BYTES) return undefined;
    const hash = await checkedHash(handle, size, oidBytes);
    await checkPlace(handle, contents, { hash, below: names.slice(0, index), name: names[index] ?? hash });
    const layer = await readLayer(handle, contents, { base, maxBytes: left });
    if (layer === undefined) return undefined;
    left -= layerBytes(layer);
    layers.push(layer);
  }
  return oidBytes === undefined ? undefined : new CommitGraph(layers, oidBytes);
}

/** Returns the hash at the end of a file. @throws {CommitGraphDamage} if its contents have another. */
async function checkedHash(handle: FileHandle, size: number, oidBytes: number): Promise<string> {
  const bytes = await readChunk(handle, { start: 0, length: size });
  const hash = bytes?.subarray(-oidBytes).toString('hex') ?? '';
  // `subtle` computes in a thread.
  const digest = await webcrypto.subtle.digest(
    DIGESTS[oidBytes] ?? '',
    bytes?.subarray(0, -oidBytes) ?? Buffer.of(),
  );
  if (Buffer.from(digest).toString('hex') !== hash)
    throw new CommitGraphDamage('the checksum does not match');
  return hash;
}

/**
 * Compares a layer with the list of the chain: the positions of parents count the commits in the
 * layers below.
 *
 * @throws {CommitGraphDamage} if it was written above other layers.
 */
async function checkPlace(
  handle: FileHandle,
  { layersBelow, chunks }: Contents,
  { hash, below, name }: { readonly hash: string; readonly below: readonly string[]; readonly name: string },
): Promise<void> {
  const chunk = chunks.get('BASE');
  const bases = chunk === undefined ? Buffer.of() : await readChunk(handle, chunk);
  if (hash !== name || layersBelow !== below.length || bases?.toString('hex') !== below.join(''))
    throw new CommitGraphDamage('the chain lists other files');
}

interface Chunk {
  readonly start: number;
  readonly length: number;
}

interface Contents {
  readonly oidBytes: number;
  readonly layersBelow: number;
  readonly chunks: ReadonlyMap<string, Chunk>;
}

async function readContents(handle: FileHandle): Promise<Contents | undefined> {
  const header = await readChunk(handle, { start: 0, length: HEADER_BYTES });
  const oidBytes = OID_BYTES[header?.[5] ?? 0];
  if (header === undefined || oidBytes === undefined) return undefined;
  if (header.toString('latin1', 0, 4) !== 'CGPH' || header[4] !== 1) return undefined;
  const [chunkCount = 0, layersBelow = 0] = header.subarray(6);
  const table = await readChunk(handle, { start: HEADER_BYTES, length: (chunkCount + 1) * ROW_BYTES });
  if (table === undefined) return undefined;
  const chunks = new Map<string, Chunk>();
  for (let row = 0; row < chunkCount * ROW_BYTES; row += ROW_BYTES) {
    const start = Number(table.readBigUInt64BE(row + 4));
    const end = Number(table.readBigUInt64BE(row + ROW_BYTES + 4));
    chunks.set(table.toString('latin1', row, row + 4), { start, length: end - start });
  }
  return { oidBytes, layersBelow, chunks };
}

async function readLayer(
  handle: FileHandle,
  { oidBytes, chunks }: Contents,
  { base, maxBytes }: { readonly base: number; readonly maxBytes: number },
): Promise<GraphLayer | undefined> {
  const parts = ['OIDF', 'OIDL', 'CDAT', 'EDGE'].map((name) => chunks.get(name) ?? { start: 0, length: 0 });
  const total = parts.reduce((sum, { length }) => sum + Math.max(0, length), 0);
  if (total > maxBytes) return undefined;
  const [fanOut, names, commits, edges] = await Promise.all(parts.map((part) => readChunk(handle, part)));
  if (fanOut?.length !== FAN_OUT_BYTES || names === undefined || commits === undefined || edges === undefined)
    return undefined;
  const count = fanOut.readUInt32BE(FAN_OUT_BYTES - 4);
  if (names.length !== count * oidBytes || commits.length !== count * commitBytes(oidBytes)) return undefined;
  const filters = await readFilters(handle, chunks, { count, maxBytes: maxBytes - total });
  return { base, count, fanOut, names, commits, edges, filters };
}

/** Returns `undefined` if there are no filters, or no place for them. */
async function readFilters(
  handle: FileHandle,
  chunks: Contents['chunks'],
  { count, maxBytes }: { readonly count: number; readonly maxBytes: number },
): Promise<PathFilters | undefined> {
  const [index, filters] = [chunks.get('BIDX'), chunks.get('BDAT')];
  if (index === undefined || filters === undefined || index.length + filters.length > maxBytes)
    return undefined;
  const [ends, data] = [await readChunk(handle, index), await readChunk(handle, filters)];
  return ends?.length === count * 4 && data !== undefined ? { ends, data } : undefined;
}

async function readChunk(
  handle: FileHandle,
  { start, length }: Chunk,
): Promise<Buffer<ArrayBuffer> | undefined> {
  if (length < 0 || !Number.isSafeInteger(start + length)) return undefined;
  const { size } = await handle.stat();
  if (start + length > size) return undefined;
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, start);
  return bytesRead === length ? buffer : undefined;
}
