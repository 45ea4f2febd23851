import { LoopSlice } from '#base/async/loop-turns';
import { invariant } from '#base/invariant';
import { PIECE_BYTES } from '#base/memory/bulk-buffers';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { BAND, bandPacket } from '#base/pkt-line/side-band';
import { OID_BYTES, type OidBytes } from '#git/names/object-id';
import { parsePackEntry } from '#git/objects/database/pack-entry';
import { encodedDistance, entryHeader, packHeader } from '#git/objects/pack-header';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { Repository } from '#storage/repository';
import { type AddObjectsOptions, addObjects } from '../add-objects.ts';
import { PackOutput } from '../pack-output.ts';
import { MAX_GAP_BYTES, PackWindow } from '../pack-window.ts';
import type { WalkedPack } from './find-walked-pack.ts';
import type { PlacedInPack } from './placed-objects.ts';

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

interface CopyEntriesOptions {
  readonly oidBytes: OidBytes;
  readonly output: PackOutput;
  readonly signal: AbortSignal;
}

interface CopiedEntries {
  readonly count: number;
  readonly deltas: number;
}

/**
 * Copies entries from a pack with their compressed bytes. A delta gets the new place of its base,
 * or the base's id if that is sent later or is an object that the client has.
 *
 * @throws {GitalyError} INTERNAL for a damaged pack; the system's error; errors of the output;
 *   the signal's reason.
 */
async function copyEntries(
  { bases, ends, fd, offsets, oids }: PlacedInPack,
  { oidBytes, output, signal }: CopyEntriesOptions,
): Promise<CopiedEntries> {
  using window = new PackWindow({ fd, end: ends.at(-1) ?? 0 }, output);
  const slice = new LoopSlice();
  /** Where the entries begin in the output; negative for those that are not there. */
  const starts = new Float64Array(oids.length).fill(-1);
  let [count, deltas] = [0, 0];
  for (const [at, base] of bases.entries()) {
    if (slice.isOverAfterItem()) await slice.pause(signal);
    if (base === 'missing') continue;
    const [start, end] = [offsets[at] ?? 0, ends[at] ?? 0];
    if (!window.hasHeader(start, end)) await window.load(start, endOfRun(offsets, ends, at));
    const index = start - window.start;
    const entry = parsePackEntry(window.bytes, oidBytes, index);
    const body = start + entry.headerBytes;
    invariant(body < end, 'pack-entries', 'an entry of a pack ends in its header');
    starts[at] = output.position;
    if (base === 'none') output.add(window.bytes, index, index + entry.headerBytes);
    else {
      deltas++;
      const isHere = 'position' in base;
      const sentAt = isHere ? (starts[base.position] ?? -1) : -1;
      const name = isHere ? (oids[base.position] ?? '') : base.oid;
      if (sentAt < 0) addNamed(output, name, entry.size);
      else {
        const distance = output.position - sentAt;
        output.add(entryHeader('offset-delta', entry.size));
        output.add(encodedDistance(distance));
      }
    }
    count++;
    if (!window.copyLoaded(body, end)) await window.copy(body, end);
  }
  await output.drain();
  return { count, deltas };
}

/** Returns the end of the entries that are close behind each other from an entry on, in one piece. */
function endOfRun(offsets: Float64Array, ends: Float64Array, first: number): number {
  const last = (offsets[first] ?? 0) + PIECE_BYTES;
  let end = ends[first] ?? 0;
  for (let at = first + 1; at < ends.length && end < last; at++) {
    if ((offsets[at] ?? 0) - end > MAX_GAP_BYTES) break;
    end = ends[at] ?? 0;
  }
  return end;
}

function addNamed(output: PackOutput, base: string, size: number): void {
  output.add(entryHeader('name-delta', size));
  output.add(Buffer.from(base, 'hex'));
}
