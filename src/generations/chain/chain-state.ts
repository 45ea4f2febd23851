import { LoopSlice } from '#base/async/loop-turns';
import type { Checkpoint } from '../codec/checkpoint.ts';
import type { Generation, ReadGeneration } from '../codec/generation.ts';
import { isSameOwner, type Owner } from '../codec/owner.ts';

const NOT_REMOVED = Number.POSITIVE_INFINITY;
/** Limit of the requests whose responses are remembered. */
const MAX_REQUESTS = 10_000;

export interface AnsweredRequest {
  readonly hash: string;
  readonly n: number;
  readonly timeMs: number;
}

/** Reports whether a generation can change what a repository contains. */
export function isChange({ kind }: Pick<Generation, 'kind'>): boolean {
  return kind === 'create' || kind === 'write' || kind === 'removed';
}

/**
 * The state of a repository at a generation: computed from a checkpoint and generations alone
 * (I10).
 */
export class ChainState {
  n = 0;
  /** Checksum of generation n; empty before the first. */
  checksum = '';
  /** Time of the last generation that changed something. */
  timeMs = 0;
  owner: Owner | undefined;
  exists = false;
  /** Number of the last generation after which new objects must be computed anew (I11). */
  barrier = 0;
  readonly references: Map<string, string>;
  readonly packs = new Set<string>();
  /** Generations after the checkpoint that have an inline pack. */
  readonly inline = new Set<number>();
  /** Doomed packs, and the times at which they were doomed. */
  readonly doomed = new Map<string, number>();
  /** Generations that are never deleted: the first and the last one of each owner (I4). */
  readonly kept = new Set<number>();
  readonly settings = new Map<string, string>();
  readonly requests = new Map<string, AnsweredRequest>();
  /** Number of generations since the checkpoint that are worth another one. */
  changes = 0;
  /** Number of the checkpoint from which a reader starts; 0 without one. */
  checkpoint = 0;
  /** Packs named at the floor or later, and the generation that removed each. */
  readonly #named = new Map<string, number>();

  /** @param references are the state's own from then on. */
  constructor(references = new Map<string, string>()) {
    this.references = references;
  }

  /** @param references are the state's own from then on. */
  static fromCheckpoint(checkpoint: Checkpoint, references: Map<string, string>): ChainState {
    const state = new ChainState(references);
    state.n = checkpoint.n;
    state.checkpoint = checkpoint.n;
    state.checksum = checkpoint.checksum;
    state.timeMs = checkpoint.timeMs ?? 0;
    state.owner = checkpoint.owner;
    state.exists = checkpoint.exists;
    state.barrier = checkpoint.barrier;
    for (const name of checkpoint.packs) state.#name(name);
    for (const [name, timeMs] of checkpoint.doomed) state.doomed.set(name, timeMs);
    for (const n of checkpoint.kept) state.kept.add(n);
    for (const [name, value] of Object.entries(checkpoint.settings)) state.settings.set(name, value);
    for (const [id, facts] of checkpoint.requests) state.requests.set(id, JSON.parse(facts));
    return state;
  }

  async copy(): Promise<ChainState> {
    const copy = ChainState.fromCheckpoint(this.toCheckpoint(''), new Map());
    for (const n of this.inline) copy.inline.add(n);
    copy.checkpoint = this.checkpoint;
    const slice = new LoopSlice();
    for (const [name, value] of this.references) {
      copy.references.set(name, value);
      if (slice.isOverAfterItem()) await slice.pause();
    }
    return copy;
  }

  /** @param references checksum of the object with the references. */
  toCheckpoint(references: string): Checkpoint {
    return {
      n: this.n,
      checksum: this.checksum,
      timeMs: this.timeMs,
      owner: this.owner,
      exists: this.exists,
      packs: [...this.packs],
      doomed: [...this.doomed],
      kept: [...this.kept],
      barrier: this.barrier,
      settings: Object.fromEntries(this.settings),
      requests: [...this.requests].map(([id, facts]) => [id, JSON.stringify(facts)]),
      references,
    };
  }

  /** Applies the next generation. Applying it twice has no effect. */
  apply({ generation, checksum, inline }: ReadGeneration): void {
    if (generation.n <= this.n) return;
    this.#keepEnds(generation.n, generation.owner);
    this.n = generation.n;
    this.checksum = checksum;
    if (isChange(generation)) this.timeMs = generation.timeMs;
    if (generation.kind !== 'takeover' && generation.kind !== 'doomed') this.changes++;
    this.#applyKind(generation.kind);
    for (const { name, new: value } of generation.changes)
      if (value === undefined) this.references.delete(name);
      else this.references.set(name, value);
    for (const name of generation.packsAdded) this.#name(name);
    for (const name of generation.packsRemoved) {
      this.packs.delete(name);
      this.#named.set(name, generation.n);
    }
    if (inline.length > 0) this.inline.add(generation.n);
    for (const name of generation.doomed) this.doomed.set(name, generation.timeMs);
    for (const [name, value] of Object.entries(generation.settings))
      if (value === '') this.settings.delete(name);
      else this.settings.set(name, value);
    for (const { correlationId, hash } of generation.requests)
      this.requests.set(correlationId, { hash, n: generation.n, timeMs: generation.timeMs });
  }

  /** Reports whether nothing of a removed repository is left. */
  get isErased(): boolean {
    const { exists, inline, packs, settings } = this;
    return this.n > 0 && !exists && packs.size + inline.size + settings.size === 0;
  }

  /** Reports whether a pack is named at the floor, or was after it. */
  isNamed(pack: string): boolean {
    return this.#named.has(pack);
  }

  /**
   * Replaces the inline packs up to a checkpoint by the pack that the checkpoint has instead, once
   * the floor is at the checkpoint.
   */
  cover(checkpoint: { readonly n: number; readonly packs: Iterable<string> }): void {
    if (checkpoint.n === this.n) this.changes = 0;
    this.checkpoint = Math.max(this.checkpoint, checkpoint.n);
    for (const n of this.inline) if (n <= checkpoint.n) this.inline.delete(n);
    for (const name of checkpoint.packs) if (!this.#named.has(name)) this.#name(name);
    for (const [name, removed] of this.#named) if (removed <= checkpoint.n) this.#named.delete(name);
  }

  /** Forgets what is too old to matter. */
  prune(
    nowMs: number,
    { doomedMs, repeatMs }: { readonly doomedMs: number; readonly repeatMs: number },
  ): void {
    for (const [name, timeMs] of this.doomed) if (nowMs - timeMs > doomedMs) this.doomed.delete(name);
    for (const [id, { timeMs }] of this.requests) {
      if (nowMs - timeMs <= repeatMs && this.requests.size <= MAX_REQUESTS) break; // in order of time
      this.requests.delete(id);
    }
  }

  #name(pack: string): void {
    this.packs.add(pack);
    this.#named.set(pack, NOT_REMOVED);
  }

  #applyKind(kind: ReadGeneration['generation']['kind']): void {
    if (kind === 'create') this.exists = true;
    if (kind === 'removed') {
      this.exists = false;
      this.references.clear();
    }
    if (kind === 'erased') this.#erase();
    if (kind === 'maintenance' || kind === 'doomed' || kind === 'erased') this.barrier = this.n;
  }

  #erase(): void {
    for (const name of this.packs) this.#named.set(name, this.n);
    for (const each of [this.packs, this.inline, this.settings, this.requests]) each.clear();
  }

  /** Notes the generations on both sides of a change of owners (I4). */
  #keepEnds(n: number, owner: Owner): void {
    if (!isSameOwner(this.owner, owner)) this.kept.add(n - 1).add(n);
    this.owner = owner;
  }
}
