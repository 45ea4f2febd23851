import { invariant } from '#base/invariant';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { BAND, bandPacket } from '#base/pkt-line/side-band';
import { OID_BYTES } from '#git/names/object-id';
import { packHeader } from '#git/objects/pack-header';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { Repository } from '#storage/repository';
import { type AddObjectsOptions, addObjects } from '../add-objects.ts';
import { PackOutput } from '../pack-output.ts';
import { copyEntries } from './copied-entries.ts';
import type { WalkedPack } from './find-walked-pack.ts';

/** Numbers of a pack, as git counts them. */
export interface SentPack {
  readonly count: number;
  readonly deltas: number;
  /** Objects whose stored bytes were sent, and those of them that are deltas. */
  readonly reused: number;
  readonly reusedDeltas: number;
}

export interface SendWalkedOptions extends Pick<AddObjectsOptions, 'omitsNames'> {
  readonly repository: Repository;
  readonly signal: AbortSignal;
}

/**
 * Sends the objects of a fetch as a pack.
 *
 * @throws {GitalyError} INTERNAL for a damaged pack; the system's error; the signal's reason.
 */
export async function sendWalkedPack(
  pack: WalkedPack,
  writer: Pick<StreamWriter, 'write'>,
  { omitsNames, repository, signal }: SendWalkedOptions,
): Promise<SentPack> {
  const { chains, count, hasProgress, head, placed } = pack;
  const { objectFormat, objects } = repository;
  const output = new PackOutput(writer, objectFormat);
  const say = (text: string): void => {
    if (hasProgress) output.addPacket(bandPacket(BAND.stderr, Buffer.from(text)));
  };
  output.addPacket(Buffer.concat([head, textPacket('packfile\n')]));
  say(`Enumerating objects: ${count}, done.\n`);
  output.add(packHeader(count));
  let [reused, reusedDeltas] = [0, 0];
  for (const each of placed.packs) {
    const sent = await copyEntries(each, { oidBytes: OID_BYTES[objectFormat], output, signal });
    reused += sent.count;
    reusedDeltas += sent.deltas;
  }
  const adding = { chains, objects, omitsNames, output, signal };
  const deltas = reusedDeltas + (await addObjects(placed.others, adding));
  // Before the checksum, so that the client refuses the pack.
  invariant(reused + placed.others.length === count, 'pack-entries', 'a pack has another number of objects');
  output.addChecksum();
  say(`Total ${count} (delta ${deltas}), reused ${reused} (delta ${reusedDeltas}), pack-reused 0\n`);
  output.addPacket(FLUSH_PACKET);
  await output.flush();
  return { count, deltas, reused, reusedDeltas };
}
