import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { PacketParser } from '#base/pkt-line/packet-parser';
import { BAND } from '#base/pkt-line/side-band';
import { findWalkedPack } from '#domain/upload-pack/walked-packs/find-walked-pack';
import type { PlacedInPack } from '#domain/upload-pack/walked-packs/placed-objects';
import { sendWalkedPack } from '#domain/upload-pack/walked-packs/send-walked-pack';
import { flag, gitCommand } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { objectsInPack, PACK_HEADER_BYTES } from '#git/objects/pack-header';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** Objects to pack: all that some objects reach, without all that others reach. */
export interface PackContents {
  readonly wants: readonly string[];
  /** Objects that the archive has, with all that they reach. */
  readonly haves: readonly string[];
}

/** A pack in a temporary file, which disposing removes. */
export interface PackFile extends AsyncDisposable {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256 of the file. */
  readonly checksum: string;
}

/** Packs that are made in memory; larger ones are made by git, in a file. */
const MAX_MEMORY_BYTES = 4 * 1024 * 1024;
/** git finds out for itself which commits matter; in process, each is looked up. */
const MAX_WALKED_IDS = 64;

/**
 * Makes a pack in process, without git, of few new objects. All bases are in the pack, before their
 * deltas, which do not name them: joined with a pack that has the same base, git before 2.50 could
 * not index it (`REF_DELTA already resolved`).
 *
 * @returns the pack; an empty buffer without objects; `undefined` if git has to make it.
 * @throws the signal's reason.
 */
export async function smallPack(
  repository: Repository,
  { haves, wants }: PackContents,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  if (wants.length + haves.length > MAX_WALKED_IDS) return undefined;
  // Most changes add to what a reference had: nothing behind the haves is read then.
  return (
    (haves.length > 0 ? await walkedPack(repository, { haves, wants }, { cut: haves, signal }) : undefined) ??
    (await walkedPack(repository, { haves, wants }, { cut: [], signal }))
  );
}

/**
 * Makes a pack as {@link smallPack}.
 *
 * @param options.cut Commits that are taken as if they had no parents. With the haves it may have
 *   some objects more, if the wants reach parents of the haves also without these.
 */
async function walkedPack(
  repository: Repository,
  { haves, wants }: PackContents,
  { cut, signal }: { readonly cut: readonly string[]; readonly signal: AbortSignal },
): Promise<Buffer | undefined> {
  const ends = [...haves.map((oid) => `have ${oid}`), ...cut.map((oid) => `shallow ${oid}`)];
  const others = ['ofs-delta', 'no-progress', 'done', ...ends];
  const request = { name: 'fetch', key: '', isDone: true, wants, others } as const;
  try {
    await using pack = await findWalkedPack({ config: [], repository }, request, signal);
    if (pack.count === 0) return Buffer.alloc(0);
    if (pack.placed.packs.some(hasNamedBase)) return undefined;
    const output = new PackBytes();
    await sendWalkedPack(pack, output, { omitsNames: true, repository, signal });
    return output.bytes;
  } catch {
    signal.throwIfAborted();
    return undefined; // git reports what is wrong
  }
}

/** Reports whether a delta would name its base by its id, because the base follows it. */
function hasNamedBase({ bases }: PlacedInPack): boolean {
  return bases.some((base, at) => {
    if (base === 'missing' || base === 'none') return false;
    return !('position' in base) || base.position >= at || bases[base.position] === 'missing';
  });
}

/** Takes the pack out of the packets of a fetch. */
class PackBytes {
  readonly #parser = new PacketParser();
  readonly #pieces: Buffer[] = [];
  #size = 0;

  write(packets: Buffer, recycle?: (bytes: Buffer) => void): undefined {
    for (const packet of this.#parser.push(packets)) {
      if (typeof packet === 'string' || packet[0] !== BAND.stdout) continue;
      this.#size += packet.length - 1;
      this.#pieces.push(packet.subarray(1));
    }
    recycle?.(packets);
    if (this.#size > MAX_MEMORY_BYTES) throw new Error('the pack is too large for memory');
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

const PACK_OBJECTS = gitCommand('pack-objects', {
  options: ['--stdout', '--delta-base-offset', '--quiet', '--revs'].map(flag),
});

/**
 * Has git make a pack in a temporary file.
 *
 * @returns `undefined` if there are no objects.
 * @throws {GitExitError}, for example when an object is missing; the system's error.
 */
export async function packFile(
  repository: Repository,
  { haves, wants }: PackContents,
  signal: AbortSignal,
): Promise<PackFile | undefined> {
  const lines = [...wants, ...(haves.length === 0 ? [] : ['--not', ...haves])];
  const input = Buffer.from(`${lines.join('\n')}\n`);
  await using stack = new AsyncDisposableStack();
  const temp = stack.use(await createTempDirectory(repository.storage, 'archive-'));
  const path = `${temp.path}/new.pack`;
  const hash = createHash('sha256');
  const { objects, sizeBytes } = await writeTo(
    path,
    outputBytes(repository, PACK_OBJECTS, { signal, input }),
    hash,
  );
  if (objects === 0) return undefined;
  const kept = stack.move();
  return {
    path,
    sizeBytes,
    checksum: hash.digest('hex'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function writeTo(
  path: string,
  pieces: AsyncIterable<Buffer>,
  hash: Hash,
): Promise<{ readonly objects: number; readonly sizeBytes: number }> {
  await using file = await open(path, 'wx', 0o600);
  let head = Buffer.alloc(0);
  let sizeBytes = 0;
  for await (const piece of pieces) {
    if (head.length < PACK_HEADER_BYTES) head = Buffer.concat([head, piece.subarray(0, PACK_HEADER_BYTES)]);
    hash.update(piece);
    sizeBytes += piece.length;
    await file.writeFile(piece);
  }
  return { objects: objectsInPack(head) ?? 0, sizeBytes };
}
