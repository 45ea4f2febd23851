import { LoopSlice } from '#base/async/loop-turns';
import { LENGTH_DIGITS, MAX_PACKET_BYTES, writePacketLength } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/command/in-process';
import { LinesBuilder } from './lines-builder.ts';
import type { LineOptions, PackedLines } from './packed-lines.ts';
import { requireFullyPeeled, requireSorted } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';
import { type PackedRecord, packedRecords } from './scan-packed-refs.ts';

const NAMESPACE = Buffer.from('refs/');
const PEELED = Buffer.from(' peeled:');
const LF = 0x0a;

/**
 * Reads a packed-refs file.
 *
 * @throws {FallBackToGit} when only git can interpret it.
 */
export async function readPackedLines(file: PackedRefsFile, options: LineOptions): Promise<PackedLines> {
  const { digits, peel } = options;
  requireSorted(file.source);
  if (peel && file.source.size > 0) requireFullyPeeled(file.source);
  const builder = new LinesBuilder();
  let last: Buffer = Buffer.alloc(0);
  const slice = new LoopSlice();
  for await (const { block, records } of packedRecords(file, { from: NAMESPACE, digits })) {
    checkOrder(block, records, last);
    const end = records.at(-1);
    if (end !== undefined) last = block.subarray(end.nameStart, end.nameEnd);
    const lines = Buffer.allocUnsafeSlow(lengthOf(records, options));
    let at = 0;
    for (const record of records) {
      builder.startsAt(at);
      at += writeLine(lines, at, { block, record, ...options });
    }
    builder.add(lines);
    await slice.pause();
  }
  return await builder.finish(digits);
}

/** Checks the order: a binary search would fail in a file that wrongly claims to be sorted. */
function checkOrder(block: Buffer, records: readonly PackedRecord[], last: Buffer): void {
  const [first] = records;
  if (first !== undefined && Buffer.compare(last, block.subarray(first.nameStart, first.nameEnd)) >= 0)
    throw unsorted();
  for (let index = 1; index < records.length; index++) {
    const [before, after] = [records[index - 1], records[index]];
    if (before === undefined || after === undefined) continue;
    if (block.compare(block, after.nameStart, after.nameEnd, before.nameStart, before.nameEnd) >= 0)
      throw unsorted();
  }
}

function unsorted(): FallBackToGit {
  return new FallBackToGit('packed-refs is not sorted, although its header declares it');
}

function lengthOf(records: readonly PackedRecord[], options: LineOptions): number {
  let length = 0;
  for (const record of records) length += lineLength(record, options);
  return length;
}

function lineLength({ start, nameEnd, peeledStart }: PackedRecord, { digits, peel }: LineOptions): number {
  return LENGTH_DIGITS + (nameEnd - start) + (peel && peeledStart > 0 ? PEELED.length + digits : 0) + 1;
}

/** Writes a line. @returns the number of bytes written. */
function writeLine(
  lines: Buffer,
  at: number,
  line: LineOptions & { block: Buffer; record: PackedRecord },
): number {
  const { block, record, digits, peel } = line;
  const { start, nameEnd, peeledStart } = record;
  const length = lineLength(record, line);
  if (length > MAX_PACKET_BYTES) throw new FallBackToGit('a name is too long for a packet');
  writePacketLength(lines, at, length);
  let end = at + LENGTH_DIGITS;
  end += block.copy(lines, end, start, nameEnd);
  if (peel && peeledStart > 0) {
    end += PEELED.copy(lines, end);
    end += block.copy(lines, end, peeledStart, peeledStart + digits);
  }
  lines[end] = LF;
  return length;
}
