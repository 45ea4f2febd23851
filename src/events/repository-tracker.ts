import { LoopSlice } from '#base/loop-turns';
import { MAX_SYMBOLIC_DEPTH } from '#git/refs/follow-ref';
import type { RecordedRepository } from '#git/refs/update/ref-change-recorder';
import { listValues, type ReferenceValue, readRaw, readValue } from './reference-values.ts';

/** A change of a reference, or that there may be changes which a tracker cannot name. */
export type Finding =
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
  /** Of those that are not symbolic: how often their values have changed. */
  readonly versions: ReadonlyMap<string, number>;
}

interface Known {
  value: ReferenceValue;
  /** Grows with each change that was found. */
  version: number;
}

/** References that are read one by one; more of them are listed by whoever needs them. */
export const MAX_REFERENCES = 10_000;
/** Others may change a reference each time that it is read. */
const MAX_READS = 100;

/**
 * Follows the references of one repository while changes of it are made. Each value that is read is
 * compared with the one read before, so each change is found once, whoever finds it, and in order.
 */
export class RepositoryTracker {
  readonly #report: (finding: Finding) => void;
  readonly #known = new Map<string, Known>();
  #startsEmpty = false;

  /** @param report called in the order of the changes. */
  constructor(report: (finding: Finding) => void) {
    this.#report = report;
  }

  /** The repository was created: references that nobody has read were not there before. */
  startEmpty(): void {
    this.#startsEmpty = true;
  }

  /**
   * Reads references that are about to change, and those that symbolic ones among them lead to,
   * which change in their place.
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
   * @param after values that the change has set. They count unless somebody else has read another
   *   value meanwhile.
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
      // Somebody else has read a value since the list began.
      const isLater = known?.version !== versions.get(name);
      // Of those that were not there before the change nothing is known.
      if (known === undefined) this.#known.set(name, { value: undefined, version: 0 });
      if (isLater) await this.#observe(repository, name);
      else this.#note(name, values.get(name));
      await slice.pause();
    }
  }

  async #observe(repository: RecordedRepository, name: string): Promise<void> {
    await this.#current(name, false, async () => ({ value: await readValue(repository, name) }));
  }

  /** Reads a reference until nobody else has read another value meanwhile, and notes its value. */
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
