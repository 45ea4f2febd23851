import { GitalyError } from '#base/gitaly-error';
import { invariant } from '#base/invariant';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { BAND, bandPacket } from '#base/pkt-line/side-band';
import { FallBackToGit } from '#git/command/in-process';
import type { ObjectReader } from '#git/objects/object-reader';
import { PACK_HEADER_BYTES, packHeader } from '#git/objects/pack-header';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import { PackOutput } from '../pack-output.ts';
import type { ReusedPack, ReusedPacks } from './find-reused-packs.ts';
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
  const { beyond, head, packs, selected } = reused;
  const count = reused.count + (beyond?.count ?? 0);
  const whole = wholePack(reused);
  const algorithm = selected.oidBytes === 20 ? 'sha1' : 'sha256';
  const output = new PackOutput(writer, whole === undefined ? algorithm : undefined);
  const say = (text: string): void => {
    if (options.hasProgress) output.addPacket(bandPacket(BAND.stderr, Buffer.from(text)));
  };
  output.addPacket(Buffer.concat([head, textPacket('packfile\n')]));
  say(`Enumerating objects: ${count}, done.\n`);
  try {
    await sendPack(reused, { ...options, output, whole });
  } catch (error) {
    // git cannot answer any more.
    if (error instanceof FallBackToGit)
      throw new GitalyError('INTERNAL', 'a pack is damaged', { cause: error });
    throw error;
  }
  const sources = packs.length === 1 ? '' : ` (from ${packs.length})`;
  say(`Total ${count} (delta 0), reused 0 (delta 0), pack-reused ${reused.count}${sources}\n`);
  output.addPacket(FLUSH_PACKET);
  await output.flush();
}

/** Returns the pack that is all that is sent, with its checksum. */
function wholePack({ beyond, packs }: ReusedPacks): ReusedPack | undefined {
  const [first] = packs;
  return packs.length === 1 && beyond === undefined && first?.gap === first?.range.end ? first : undefined;
}

interface SendPackOptions extends SendOptions {
  readonly output: PackOutput;
  readonly whole: ReusedPack | undefined;
}

async function sendPack(
  { beyond, count, packs, selected }: ReusedPacks,
  { objects, output, signal, whole }: SendPackOptions,
): Promise<void> {
  const { oidBytes, order } = selected;
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
}
