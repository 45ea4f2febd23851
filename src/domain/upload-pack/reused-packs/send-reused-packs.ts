import { GitalyError } from '#base/gitaly-error';
import { invariant } from '#base/invariant';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { BAND, bandPacket } from '#base/pkt-line/side-band';
import { FallBackToGit } from '#git/command/in-process';
import type { ObjectReader } from '#git/objects/object-reader';
import { PACK_HEADER_BYTES, packHeader } from '#git/objects/pack-header';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import { PackOutput } from '../pack-output.ts';
import type { ReusedPacks } from './find-reused-packs.ts';
import { KeptEntries } from './kept-entries.ts';

export interface SendOptions {
  readonly objects: ObjectReader;
  /** True for the lines that git writes about a pack. */
  readonly hasProgress: boolean;
  readonly signal: AbortSignal;
}

/**
 * Sends the objects of reused packs, and others, as one pack in the answer to a fetch of protocol
 * v2.
 *
 * @throws {GitalyError} INTERNAL for a damaged pack; {GitExitError}; the system's error; the reason
 *   when nothing needs the answer any more.
 */
export async function sendReusedPacks(
  reused: ReusedPacks,
  writer: Pick<StreamWriter, 'write'>,
  options: SendOptions,
): Promise<void> {
  const { beyond, head, packs } = reused;
  const count = reused.count + (beyond?.count ?? 0);
  const say = async (text: string): Promise<void> => {
    if (options.hasProgress) await writer.write(bandPacket(BAND.stderr, Buffer.from(text)));
  };
  await writer.write(Buffer.concat([head, textPacket('packfile\n')]));
  await say(`Enumerating objects: ${count}, done.\n`);
  try {
    await sendPack(reused, { ...options, writer });
  } catch (error) {
    // git cannot answer any more.
    if (error instanceof FallBackToGit)
      throw new GitalyError('INTERNAL', 'a pack is damaged', { cause: error });
    throw error;
  }
  const sources = packs.length === 1 ? '' : ` (from ${packs.length})`;
  await say(`Total ${count} (delta 0), reused 0 (delta 0), pack-reused ${reused.count}${sources}\n`);
  await writer.write(FLUSH_PACKET);
}

async function sendPack(
  { beyond, count, packs, selected }: ReusedPacks,
  { objects, signal, writer }: SendOptions & { readonly writer: Pick<StreamWriter, 'write'> },
): Promise<void> {
  const { oidBytes, order } = selected;
  const [first] = packs;
  const whole =
    packs.length === 1 && beyond === undefined && first?.gap === first?.range.end ? first : undefined;
  const algorithm = oidBytes === 20 ? 'sha1' : 'sha256';
  const output = new PackOutput(writer, whole === undefined ? algorithm : undefined);
  output.add(packHeader(count + (beyond?.count ?? 0)));
  let sent = 0;
  for (const pack of packs) {
    const { end, file, gap, range } = pack;
    const shift = output.position - PACK_HEADER_BYTES;
    const stop = gap < range.end ? (order.offsets[gap] ?? end) : end;
    await output.addFile(file, PACK_HEADER_BYTES, stop);
    sent += gap - range.first;
    if (gap < range.end)
      sent += await new KeptEntries(pack, { objects, output, selected, shift, signal }).send();
  }
  for await (const bytes of beyond?.bytes ?? []) {
    output.add(bytes);
    await output.drain();
  }
  // Before the checksum, so that the client refuses the pack.
  invariant(sent === count, 'pack-entries', 'a pack has another number of objects than its header');
  // A single pack has its checksum already.
  if (whole !== undefined) await output.addFile(whole.file, whole.end, whole.end + oidBytes);
  else output.addChecksum();
  await output.flush();
}
