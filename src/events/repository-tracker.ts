import { LoopSlice } from '#base/async/loop-turns';
import { MAX_SYMBOLIC_DEPTH } from '#git/refs/storage/follow-ref';
import type { RecordedRepository } from '#git/refs/update/ref-change-recorder';
import { listValues, type ReferenceValue, readRaw, readValue } from './reference-values.ts';

/** A change of a reference, or that there may be changes which a tracker cannot name. */
export type FoundChange =
  | {
      readonly kind: 'reference';
      readonly reference: string;
      readonly oldValue: ReferenceValue;
      readonly newValue: ReferenceValue;
    }
  | { readonly kind: 'resync' };

/** References as they were read. */
export interface Observed {
  readonly values: Readonly<Record<string, string | null>>;
  /** Number of changes of each reference that is not symbolic. */
  readonly versions: ReadonlyMap<string, number>;
}

interface Known {
  value: ReferenceValue;
  /** Grows with each change that was found. */
  version: number;
}

/** Number of references that are read one by one; with more, consumers list them. */
export const MAX_REFERENCES = 10_000;
/** Others may change a reference each time that it is read. */
const MAX_READS = 100;

/**
 * Follows the references of one repository during changes. Each value is compared with the previous
 * one, so each change is found once and in order, whichever reader finds it.
 */
export class RepositoryTracker {
  readonly #report: (finding: FoundChange) => void;
  readonly #known = new Map<string, Known>();
  #startsEmpty = false;

  /** @param report called in the order of the changes. */
  constructor(report: (finding: FoundChange) => void) {
    this.#report = report;
  }

  /** Notes that the repository was created: references that were not read before did not exist. */
  startEmpty(): void {
    this.#startsEmpty = true;
  }

  /**
   * Reads references that are about to change. For symbolic ones it also reads their targets, which
   * change instead.
   */
  async observe(
    repository: RecordedRepository,
    names: readonly string[],
    { isLocked = false } = {},
  ): Promise<Observed> {
    const values: Record<string, string | null> = {};
    const versions = new Map<string, number>();
    const all = new Set(names);
    const slice = new LoopSlice();
    for (const name of all) {
      const raw = await this.#current(name, isLocked, () => readRaw(repository, name));
      values[name] = raw.value ?? null;
      if (raw.target === undefined) versions.set(name, this.#known.get(name)?.version ?? 0);
      else if (all.size < 2 * names.length + MAX_SYMBOLIC_DEPTH) all.add(raw.target);
      await slice.pause();
    }
    return { values, versions };
  }

  /**
   * Finds the changes of references since {@link observe}.
   *
   * @param after values that the change has set. They are used unless a concurrent reader has found
   *   another value.
   */
  async compare(
    repository: RecordedRepository,
    { values, versions }: Observed,
    after: ReadonlyMap<string, ReferenceValue>,
  ): Promise<void> {
    const slice = new LoopSlice();
    for (const name of Object.keys(values)) {
      const version = versions.get(name);
      const isSet = after.has(name) && version !== undefined && version === this.#known.get(name)?.version;
      if (isSet) this.#note(name, after.get(name));
      else await this.#observe(repository, name);
      await slice.pause();
    }
  }

  /** Notes the values of all references before a change, if there are not too many. */
  async observeAll(repository: RecordedRepository): Promise<boolean> {
    const values = await listValues(repository, MAX_REFERENCES);
    if (values === undefined) return false;
    for (const [name, value] of values)
      if (!this.#known.has(name)) this.#known.set(name, { value, version: 0 });
    return true;
  }

  /** Finds the changes of all references since {@link observeAll}. */
  async compareAll(repository: RecordedRepository): Promise<void> {
    const versions = new Map([...this.#known].map(([name, { version }]) => [name, version]));
    const values = await listValues(repository, MAX_REFERENCES);
    if (values === undefined) {
      this.#report({ kind: 'resync' });
      return;
    }
    const slice = new LoopSlice();
    for (const name of new Set([...values.keys(), ...this.#known.keys()])) {
      const known = this.#known.get(name);
      if (known !== undefined && known.value === values.get(name)) continue;
      // Another reader has read a value since the list began.
      const isLater = known?.version !== versions.get(name);
      // Nothing is known of references that did not exist before the change.
      if (known === undefined) this.#known.set(name, { value: undefined, version: 0 });
      if (isLater) await this.#observe(repository, name);
      else this.#note(name, values.get(name));
      await slice.pause();
    }
  }

  async #observe(repository: RecordedRepository, name: string): Promise<void> {
    await this.#current(name, false, async () => ({ value: await readValue(repository, name) }));
  }

  /** Reads a reference until no concurrent reader has found another value, and stores its value. */
  async #current<T extends { readonly value: ReferenceValue }>(
    name: string,
    isLocked: boolean,
    read: () => Promise<T>,
  ): Promise<T> {
    for (let reads = 1; ; reads++) {
      const version = this.#known.get(name)?.version;
      const found = await read();
      if (!isLocked && version !== this.#known.get(name)?.version && reads < MAX_READS) continue;
      this.#note(name, found.value);
      return found;
    }
  }

  #note(name: string, newValue: ReferenceValue): void {
    const known = this.#known.get(name);
    if (known === undefined) {
      this.#known.set(name, { value: newValue, version: 0 });
      if (this.#startsEmpty && newValue !== undefined)
        this.#report({ kind: 'reference', reference: name, oldValue: undefined, newValue });
      return;
    }
    if (known.value === newValue) return;
    const { value: oldValue } = known;
    known.value = newValue;
    known.version++;
    this.#report({ kind: 'reference', reference: name, oldValue, newValue });
  }
}
