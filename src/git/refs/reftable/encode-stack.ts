import { LENGTH_DIGITS, MAX_PACKET_BYTES, textPacket } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/in-process';
import { type LineOptions, PackedLines } from '../files/packed-lines.ts';
import type { EncodedRefs } from '../ref-lines-cache.ts';
import { type RefName, trustedRefName } from '../ref-name.ts';
import type { StackRef } from './block.ts';
import { broken } from './broken.ts';
import { STACK_LIMITS } from './limits.ts';
import { stackBatches } from './list-stack.ts';
import type { Stack } from './stack.ts';

const NAMESPACE = Buffer.from('refs/');

/**
 * Encodes the references of a stack whose files are held, for advertisements.
 *
 * @throws {FallBackToGit} when only git can read them, and when there are too many.
 */
export async function encodeStack(stack: Stack, { digits, peel }: LineOptions): Promise<EncodedRefs> {
  using _ = stack.hold();
  const pieces: Buffer[] = [];
  const starts: number[] = [];
  const symbolic: RefName[] = [];
  let length = 0;
  for await (const refs of stackBatches(stack, NAMESPACE)) {
    const lines: Buffer[] = [];
    for (const ref of refs) {
      if (ref.oid === undefined) {
        symbolic.push(trustedRefName(ref.name)); // stackBatches has checked it
        continue;
      }
      const line = lineOf(ref, peel);
      starts.push(length);
      length += line.length;
      lines.push(line);
    }
    if (length > STACK_LIMITS.advertisedBytes)
      throw new FallBackToGit('reftable: there are too many references');
    pieces.push(Buffer.concat(lines));
  }
  starts.push(length);
  return {
    lines: new PackedLines(Buffer.concat(pieces, length), Uint32Array.from(starts), digits),
    symbolic,
  };
}

function lineOf({ name, oid, peeledOid }: StackRef, peel: boolean): Buffer {
  const peeled = peel && peeledOid !== undefined ? ` peeled:${peeledOid}` : '';
  const line = `${oid} ${name.toString('latin1')}${peeled}\n`;
  if (line.length + LENGTH_DIGITS > MAX_PACKET_BYTES) throw broken('a name is too long for a packet');
  return textPacket(line, 'latin1');
}
