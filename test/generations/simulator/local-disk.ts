import type { ChainState } from '#generations/chain/chain-state';
import type { ReadGeneration } from '#generations/codec/generation';
import type { Mark } from '#generations/codec/small-records';
import type { LocalIdentity, LocalRepository } from '#generations/repository/local-repository';
import { shownReferences } from './truth.ts';
import type { World } from './world.ts';

/** State of a local repository after a crash. */
export type DiskFate = 'kept' | 'lost' | 'torn' | 'older';

interface Contents {
  readonly references: ReadonlyMap<string, string> | undefined;
  readonly mark: Mark | undefined;
}

const MAX_HISTORY = 6;

/** The disk of a server, with one repository. It outlives the process. */
export class LocalDisk {
  readonly world: World;
  readonly server: string;
  references: Map<string, string> | undefined;
  mark: Mark | undefined;
  /** Contents after earlier writes. */
  readonly #history: Contents[] = [];
  #boots = 1;

  constructor(world: World, server: string) {
    this.world = world;
    this.server = server;
  }

  get identity(): LocalIdentity {
    return { incarnation: 'i', server: this.server, bootId: String(this.#boots), fileSystem: 'f' };
  }

  /** The value of a read; `undefined` if there is no local repository. */
  get value(): string | undefined {
    return this.references && shownReferences(this.references);
  }

  noteWrite(): void {
    this.#history.push({ references: this.references && new Map(this.references), mark: this.mark });
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
  }

  crash(fate: DiskFate): void {
    const older = this.#history.length === 0 ? undefined : this.world.pick(this.#history);
    if (fate === 'lost') {
      this.references = undefined;
      this.mark = undefined;
    } else if (fate === 'torn') {
      // Power failed: the mark has been written back, the references only up to an earlier time.
      this.#boots++;
      this.references = older?.references && new Map(older.references);
    } else if (fate === 'older') {
      this.references = older?.references && new Map(older.references);
      this.mark = older?.mark;
    }
    this.#history.length = 0;
  }
}

/**
 * The local repository as a process uses it. Each step takes time, in which the process may crash.
 */
export class SimulatedLocal implements LocalRepository {
  readonly disk: LocalDisk;
  readonly #step: () => Promise<void>;

  /** @param step passes time; it never ends in a process that has crashed. */
  constructor(disk: LocalDisk, step: () => Promise<void>) {
    this.disk = disk;
    this.#step = step;
  }

  get identity(): LocalIdentity {
    return this.disk.identity;
  }

  async mark(): Promise<Mark | undefined> {
    return this.disk.mark;
  }

  async apply({ generation }: ReadGeneration, mark: Mark): Promise<void> {
    await this.#step();
    const references = this.disk.references ?? new Map<string, string>();
    if (generation.kind === 'removed') references.clear();
    for (const { name, new: value } of generation.changes)
      if (value === undefined) references.delete(name);
      else references.set(name, value);
    this.disk.references = references;
    await this.#step();
    this.disk.mark = mark;
    this.disk.noteWrite();
  }

  async fill(state: ChainState, mark: Mark): Promise<void> {
    this.disk.mark = undefined;
    await this.#step();
    this.disk.references = new Map(state.references);
    await this.#step();
    this.disk.mark = mark;
    this.disk.noteWrite();
  }

  async drop(): Promise<void> {
    this.disk.mark = undefined;
    this.disk.references = undefined;
  }

  async equals(state: ChainState): Promise<boolean> {
    return this.disk.value === shownReferences(state.references);
  }
}
