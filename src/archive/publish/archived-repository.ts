import { LoopSlice } from '#base/async/loop-turns';
import type { ChainState } from '#generations/chain/chain-state';
import type { Change } from '#generations/codec/generation';
import { ProtocolError } from '#generations/errors';
import type { LocalRepository } from '#generations/repository/local-repository';
import { OwnedRepository } from '#generations/repository/owned-repository';
import { MAX_INLINE_BYTES, type NewObjects, Publisher } from '#generations/repository/publisher';
import type { Repository } from '#storage/repository';
import { type ArchiveBucket, chainOf, uploadPackFile } from '../bucket/archive-bucket.ts';
import type { WriterLease } from '../bucket/writer-lease.ts';
import { SETTING, type Settings } from '../capture/capture-settings.ts';
import { joinPacks, type PackHash } from '../capture/joined-packs.ts';
import { type PackContents, packFile, smallPack } from '../capture/make-pack.ts';
import { HEAD_NAME, SYMBOLIC } from '../capture/read-references.ts';
import { joinSmallPacks } from '../maintain/join-small-packs.ts';
import { RetainingMaintenance } from '../maintain/retaining-maintenance.ts';
import type { Retention } from '../maintain/retention.ts';

/** New values of references by name; `undefined` for deletions. */
export type Changes = ReadonlyMap<string, string | undefined>;

export interface Publication {
  /** The repository on disk, which has the new objects. */
  readonly repository: Repository;
  readonly changes: Changes;
  /** Settings that differ from the archived ones. */
  readonly settings: Readonly<Record<string, string>>;
  /** Hooks to upload, if they have changed. */
  readonly hooks?: Settings['hooks'];
  /** Further tips that the archive has with all that they reach: those of a lender. */
  readonly lent?: readonly string[];
  /** Time of the last change that is included; milliseconds since 1970. */
  readonly timeMs: number;
  readonly signal: AbortSignal;
}

export interface ArchivedRepositoryOptions {
  readonly bucket: ArchiveBucket;
  readonly writer: WriterLease;
  readonly id: string;
}

/** Inline packs that are joined by a checkpoint, in memory. */
const MAX_INLINE_TOTAL_BYTES = 4 * 1024 * 1024;
/** Generations after which a reader is spared the way by a checkpoint. */
const MAX_GENERATIONS = 256;
/** With more of them, small ones are joined. */
const MAX_PACKS = 32;
/** Number of tips that are given to git; with more, those of the changed references are enough. */
const MAX_TIPS = 50_000;
/** Tips that are compared with new values, in a millisecond. */
const MAX_LOOKED_AT = 20_000;
/** Estimate of an inline pack of a chain that was opened. */
const INLINE_BYTES = 4096;
/** Measured: the state of a small repository with its chain. */
const STATE_BYTES = 8000;
const ENTRY_BYTES = 200;

/** The bucket is the only copy: nothing on this disk is a cache of the chain. */
const NO_LOCAL: LocalRepository = {
  identity: { incarnation: '', server: '', bootId: '', fileSystem: '' },
  mark: async () => undefined,
  apply: async () => {},
  fill: async () => {},
  drop: async () => {},
  equals: async () => true,
};

/** One repository of an archive that is open: its state at the head is in memory. */
export class ArchivedRepository {
  readonly id: string;
  readonly owned: OwnedRepository;
  readonly maintenance: RetainingMaintenance;
  readonly #bucket: ArchiveBucket;
  readonly #publisher: Publisher;
  /** Stamp of the files with settings when they were last archived. */
  settingsStamp: string | undefined;
  #inlineBytes = 0;

  constructor({ bucket, id, writer }: ArchivedRepositoryOptions) {
    this.id = id;
    this.#bucket = bucket;
    const chain = chainOf(bucket, id);
    this.owned = new OwnedRepository({ chain, lease: writer.lease, leases: writer.leases, local: NO_LOCAL });
    this.#publisher = new Publisher(this.owned);
    this.maintenance = new RetainingMaintenance(this.owned, async (packs) => joinPacks(packs, this.#hash));
  }

  /** Estimate of the memory that it takes. */
  get bytes(): number {
    const { state } = this.owned;
    return STATE_BYTES + ENTRY_BYTES * ((state?.references.size ?? 0) + (state?.packs.size ?? 0));
  }

  /** Creates the chain. @param timeMs time of the creation of the repository. @throws {ProtocolError} */
  async create(timeMs: number): Promise<void> {
    await this.owned.createUnused(timeMs);
  }

  /** Takes the chain over. @throws {ProtocolError} `missing` if it was removed. */
  async open(): Promise<void> {
    await this.owned.takeOver();
    this.#inlineBytes = INLINE_BYTES * (this.owned.state?.inline.size ?? 0);
    await this.checkpointIfDue(); // each takeover is a generation, also if nothing is published
  }

  /**
   * Returns the state at the head, once no write is in doubt.
   *
   * @throws {ProtocolError} `missing` if it was removed; `unavailable`.
   */
  async head(): Promise<ChainState> {
    if (this.owned.isInDoubt) await this.owned.serial(() => this.owned.endDoubt());
    if (this.owned.state === undefined) await this.owned.takeOver();
    const { state } = this.owned;
    if (state === undefined) throw new ProtocolError('unavailable', 'the archive is not owned');
    if (!state.exists) throw new ProtocolError('missing', 'the repository was removed');
    return state;
  }

  /**
   * Publishes changes as one generation. Those that the head has already are left out; without any,
   * nothing is published.
   *
   * @returns whether a generation was added.
   */
  async publish(publication: Publication): Promise<boolean> {
    const { changes, hooks, settings, signal, timeMs } = publication;
    const head = await this.head();
    const effective = [...changes]
      .filter(([name, value]) => head.references.get(name) !== value)
      .map(([name, value]) => ({ name, old: head.references.get(name), new: value }));
    const others = Object.keys(settings).filter((name) => name !== SETTING.event);
    if (effective.length === 0 && others.length === 0 && hooks === undefined) return false;
    const chain = this.owned.options.chain;
    const hooksName = hooks && (await chain.uploadPack(hooks.content, SETTING.hooks));
    const newObjects = async (): Promise<NewObjects> => {
      const made = await this.#newObjects(head, publication, effective);
      return hooksName === undefined ? made : { ...made, packs: [...(made.packs ?? []), hooksName] };
    };
    const hooksSetting = hooksName === undefined ? {} : { [SETTING.hooks]: hooksName };
    await this.#publisher.publish({
      changes: effective,
      settings: { ...settings, ...hooksSetting },
      // Later ones are not earlier, also if the clock was set back.
      timeMs: Math.max(timeMs, head.timeMs),
      newObjects,
    });
    signal.throwIfAborted();
    return true;
  }

  /** Ends the chain: the repository was removed. */
  async remove(timeMs: number): Promise<void> {
    const head = await this.head();
    await this.#publisher.remove(Math.max(timeMs, head.timeMs));
  }

  /** Writes a checkpoint when many generations, or many bytes, follow the last one. */
  async checkpointIfDue(): Promise<boolean> {
    const { checkpoint = 0, n = 0 } = this.owned.state ?? {};
    if (n - checkpoint < MAX_GENERATIONS && this.#inlineBytes < MAX_INLINE_TOTAL_BYTES) return false;
    await this.#checkpoint();
    return true;
  }

  /**
   * Does what is due: writes a checkpoint of what changed, joins small packs, and deletes what is
   * not kept.
   *
   * @returns the number of deleted objects.
   */
  async maintain(retention: Retention): Promise<number> {
    await this.head();
    const deleted = await this.maintenance.prune(retention);
    if (this.#changes > 0) await this.#checkpoint();
    if ((await this.head()).packs.size > MAX_PACKS)
      await this.maintenance.repack((head) =>
        joinSmallPacks(this.#bucket, this.owned.options.chain, head, this.#hash),
      );
    return deleted;
  }

  /** Erases a repository that was removed; of one that was erased, deletes what is left. */
  async erase(retention: Retention): Promise<void> {
    await this.owned.takeOverRemoved();
    await this.maintenance.erase();
    if (this.#changes > 0) await this.#checkpoint();
    else await this.maintenance.prune(retention);
  }

  /**
   * Replaces damaged packs by one with all that the references reach.
   *
   * @returns whether they were replaced. @throws {GitExitError} if the repository is damaged, too.
   */
  async replacePacks(
    repository: Repository,
    damaged: readonly string[],
    signal: AbortSignal,
  ): Promise<boolean> {
    await this.head();
    const { chain } = this.owned.options;
    const isReplaced = await this.maintenance.repack(async (head) => {
      const wants = [...new Set(oidsOf(head))];
      await using file = await packFile(repository, { wants, haves: [] }, signal);
      const add = file === undefined ? [] : [await uploadPackFile(this.#bucket, chain, file)];
      return { add, remove: damaged.filter((name) => head.packs.has(name)) };
    });
    if (isReplaced) await this.#checkpoint();
    return isReplaced;
  }

  /** Reports whether anything was published since the last checkpoint. */
  get hasChanged(): boolean {
    return this.#changes > 0;
  }

  get #changes(): number {
    return this.owned.state?.changes ?? 0;
  }

  async #checkpoint(): Promise<void> {
    await this.maintenance.checkpoint();
    this.#inlineBytes = 0;
  }

  get #hash(): PackHash {
    return this.owned.state?.settings.get(SETTING.objectFormat) === 'sha256' ? 'sha256' : 'sha1';
  }

  async #newObjects(
    head: ChainState,
    { lent = [], repository, signal }: Publication,
    changes: readonly Change[],
  ): Promise<NewObjects> {
    const contents = contentsOf(head, changes, lent);
    if (contents.wants.length === 0) return {};
    const small = await smallPack(repository, contents, signal);
    if (small !== undefined && small.length <= MAX_INLINE_BYTES) {
      this.#inlineBytes += small.length;
      return { inline: small };
    }
    const { chain } = this.owned.options;
    const uploadedMs = this.#bucket.environment.clock.nowMs();
    if (small !== undefined) return { packs: [await chain.uploadPack(small)], uploadedMs };
    await using file = await this.#largePack(head, contents, { lent, repository, signal });
    return file === undefined ? {} : { packs: [await uploadPackFile(this.#bucket, chain, file)], uploadedMs };
  }

  /** Has git make a pack, without what all tips reach. If a tip is damaged, the pack has everything. */
  async #largePack(
    head: ChainState,
    { haves, wants }: PackContents,
    { lent, repository, signal }: Required<Pick<Publication, 'lent' | 'repository' | 'signal'>>,
  ): Promise<Awaited<ReturnType<typeof packFile>>> {
    const tips = head.references.size + lent.length <= MAX_TIPS ? [...oidsOf(head), ...lent] : haves;
    const present: string[] = [];
    const slice = new LoopSlice();
    for (const oid of new Set(tips)) {
      if (slice.isOverAfterItem()) await slice.pause(signal);
      if ((await repository.objects.info(oid, { signal })) !== undefined) present.push(oid);
    }
    try {
      return await packFile(repository, { wants, haves: present }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (present.length === 0) throw error;
      return await packFile(repository, { wants, haves: [] }, signal);
    }
  }
}

/**
 * Chooses what to pack of changes: without what the former values of the same references reach, and
 * the default branch. Further tips would only make the pack smaller.
 */
function contentsOf(head: ChainState, changes: readonly Change[], lent: readonly string[]): PackContents {
  const wants = new Set(changes.flatMap(({ new: value }) => oidOf(value)));
  if (head.references.size <= MAX_LOOKED_AT) for (const oid of oidsOf(head)) wants.delete(oid);
  const branch = head.references.get(HEAD_NAME)?.slice(SYMBOLIC.length) ?? '';
  const haves = new Set([
    ...changes.flatMap(({ old }) => oidOf(old)),
    ...oidOf(head.references.get(branch) ?? head.references.get(HEAD_NAME)),
  ]);
  return { wants: [...wants], haves: [...haves, ...lent] };
}

/** Returns the object id of a value that is not symbolic. */
function oidOf(value: string | undefined): string[] {
  return value === undefined || value.startsWith(SYMBOLIC) ? [] : [value];
}

function* oidsOf({ references }: ChainState): Generator<string> {
  for (const value of references.values()) yield* oidOf(value);
}
