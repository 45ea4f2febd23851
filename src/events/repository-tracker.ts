import { LoopSlice } from '#base/loop-turns';
import type { RecordedRepository } from '#git/refs/update/ref-change-recorder';
import { listValues, type ReferenceValue, readValue } from './reference-values.ts';

/** A change of a reference, or that there may be changes which a tracker cannot name. */
export type Finding =
  | {
      readonly kind: 'reference';
      readonly reference: string;
      readonly oldValue: ReferenceValue;
      readonly newValue: ReferenceValue;
    }
  | { readonly kind: 'resync' };

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

  /** Reads references that are about to change, or have changed. @returns their values. */
  async observe(
    repository: RecordedRepository,
    names: readonly string[],
    { isLocked = false } = {},
  ): Promise<Record<string, string | null>> {
    const values: Record<string, string | null> = {};
    const slice = new LoopSlice();
    for (const name of names) {
      values[name] = (await this.#observe(repository, name, isLocked)) ?? null;
      await slice.pause();
    }
    return values;
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
    const values = await listValues(repository, MAX_REFERENCES);
    if (values === undefined) {
      this.#report({ kind: 'resync' });
      return;
    }
    const names = new Set([...values.keys(), ...this.#known.keys()]);
    const changed = [...names].filter((name) => {
      const known = this.#known.get(name);
      return known === undefined || known.value !== values.get(name);
    });
    // Of those that were not there before the change nothing is known.
    for (const name of changed)
      if (!this.#known.has(name)) this.#known.set(name, { value: undefined, version: 0 });
    await this.observe(repository, changed);
  }

  async #observe(repository: RecordedRepository, name: string, isLocked: boolean): Promise<ReferenceValue> {
    for (let reads = 1; ; reads++) {
      const version = this.#known.get(name)?.version;
      const value = await readValue(repository, name);
      // Somebody else may have read a later value meanwhile.
      if (!isLocked && version !== this.#known.get(name)?.version && reads < MAX_READS) continue;
      this.#note(name, value);
      return value;
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
