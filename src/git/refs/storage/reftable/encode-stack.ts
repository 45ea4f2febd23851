import { LENGTH_DIGITS, MAX_PACKET_BYTES, packetDigits } from '#base/pkt-line/packet';
import { FallBackToGit } from '#git/command/in-process';
import { type RefName, trustedRefName } from '#git/names/ref-name';
import { LinesBuilder } from '../files/lines-builder.ts';
import type { LineOptions } from '../files/packed-lines.ts';
import type { EncodedRefs } from '../files/ref-lines-cache.ts';
import type { StackRef } from './block.ts';
import { broken } from './broken.ts';
import { STACK_LIMITS } from './limits.ts';
import { stackBatches } from './list-stack.ts';
import type { Stack } from './stack.ts';

const NAMESPACE = Buffer.from('refs/');
/** Records with their part of the object index take at most this share of the lines' bytes. */
const TABLE_SHARE = 0.75;

/**
 * Encodes the references of a stack whose files are held, for advertisements.
 *
 * @throws {FallBackToGit} when only git can read them, and when there are too many.
 */
export async function encodeStack(stack: Stack, { digits, peel }: LineOptions): Promise<EncodedRefs> {
  if (stack.bytes > STACK_LIMITS.advertisedBytes * TABLE_SHARE) throw tooMany();
  using _ = stack.hold();
  const builder = new LinesBuilder();
  const symbolic: RefName[] = [];
  for await (const refs of stackBatches(stack, NAMESPACE)) {
    const lines: string[] = [];
    let length = 0;
    for (const ref of refs) {
      if (ref.oid === undefined) {
        symbolic.push(trustedRefName(ref.name)); // stackBatches has checked it
        continue;
      }
      builder.startsAt(length);
      const line = lineOf(ref, peel);
      length += line.length;
      lines.push(line);
    }
    builder.add(Buffer.from(lines.join(''), 'latin1'));
    if (builder.length > STACK_LIMITS.advertisedBytes) throw tooMany();
  }
  return { lines: await builder.finish(digits), symbolic };
}

function tooMany(): FallBackToGit {
  return new FallBackToGit('reftable: there are too many references');
}

function lineOf({ name, oid, peeledOid }: StackRef, peel: boolean): string {
  const peeled = peel && peeledOid !== undefined ? ` peeled:${peeledOid}` : '';
  const line = `${oid} ${name.toString('latin1')}${peeled}\n`;
  if (line.length + LENGTH_DIGITS > MAX_PACKET_BYTES) throw broken('a name is too long for a packet');
  return packetDigits(line.length) + line;
}
