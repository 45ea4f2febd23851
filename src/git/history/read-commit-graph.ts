import { type FileHandle, open, readFile } from 'node:fs/promises';
import { systemErrorCode } from '#base/go/system-error';
import { isOid } from '../objects/object-id.ts';
import { CommitGraph, commitBytes, type GraphLayer } from './commit-graph.ts';

const OID_BYTES: Readonly<Record<number, number>> = { 1: 20, 2: 32 };
const HEADER_BYTES = 8;
const FAN_OUT_BYTES = 256 * 4;
/** Size of a row in the table of contents. */
const ROW_BYTES = 12;

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
 * Reads the commit-graph of an object directory; `undefined` if it cannot be used: it has an
 * unknown format, needs more than `maxBytes` in memory, is damaged, or is just being replaced.
 *
 * @throws the system's errors, except for a missing file.
 */
export async function readCommitGraph(
  objectDirectory: string,
  maxBytes: number,
): Promise<CommitGraph | undefined> {
  try {
    const single = await readGraph([commitGraphFile(objectDirectory)], maxBytes);
    if (single !== undefined) return single;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  try {
    const names = (await readFile(commitGraphChain(objectDirectory), 'latin1')).split('\n').filter(Boolean);
    if (!names.every((name) => isOid(name))) return undefined;
    return await readGraph(
      names.map((name) => `${objectDirectory}/info/commit-graphs/graph-${name}.graph`),
      maxBytes,
    );
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function readGraph(files: readonly string[], maxBytes: number): Promise<CommitGraph | undefined> {
  const layers: GraphLayer[] = [];
  let oidBytes: number | undefined;
  let left = maxBytes;
  for (const [index, file] of files.entries()) {
    const base = layers.reduce((sum, { count }) => sum + count, 0);
    await using handle = await open(file);
    const contents = await readContents(handle);
    oidBytes ??= contents?.oidBytes;
    if (contents === undefined || contents.layersBelow !== index || contents.oidBytes !== oidBytes)
      return undefined;
    const layer = await readLayer(handle, contents, { base, maxBytes: left });
    if (layer === undefined) return undefined;
    left -= layer.names.length + layer.commits.length + layer.edges.length;
    layers.push(layer);
  }
  return oidBytes === undefined ? undefined : new CommitGraph(layers, oidBytes);
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
  return { base, count, fanOut, names, commits, edges };
}

async function readChunk(handle: FileHandle, { start, length }: Chunk): Promise<Buffer | undefined> {
  if (length < 0 || !Number.isSafeInteger(start + length)) return undefined;
  const { size } = await handle.stat();
  if (start + length > size) return undefined;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, start);
  return bytesRead === length ? buffer : undefined;
}
