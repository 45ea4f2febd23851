import { isOid } from '#git/names/object-id';
import { OidSet } from '#git/names/oid-set';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { ALL, type BundleSelection, patternsOf } from './bundle-selection.ts';

/**
 * The patterns of a client for a bundle. A backup names all references and up to hundreds of
 * thousands of object ids, which are kept as bytes.
 */
export class BundlePatterns {
  readonly #objectFormat: ObjectFormatName;
  readonly #added: OidSet;
  readonly #excluded: OidSet;
  #hasAll = false;
  /** Patterns from the first one on that is neither `--all` nor an id. */
  readonly #others: Uint8Array[] = [];

  constructor(objectFormat: ObjectFormatName) {
    this.#objectFormat = objectFormat;
    this.#added = new OidSet(objectFormat);
    this.#excluded = new OidSet(objectFormat);
  }

  add(pattern: Uint8Array): void {
    if (this.#others.length > 0) return void this.#others.push(pattern);
    const text = Buffer.from(pattern.buffer, pattern.byteOffset, pattern.byteLength).toString('latin1');
    const isExcluded = text.startsWith('^');
    const oid = isExcluded ? text.slice(1) : text;
    if (isOid(oid, this.#objectFormat)) (isExcluded ? this.#excluded : this.#added).add(oid);
    else if (text === ALL) this.#hasAll = true;
    else this.#others.push(pattern);
  }

  /** All references, and objects by id; `undefined` if other things are wanted. */
  get selection(): BundleSelection | undefined {
    const isSelection = this.#hasAll && this.#others.length === 0;
    return isSelection ? { added: this.#added, excluded: this.#excluded } : undefined;
  }

  /** Returns the patterns for git. The order matters only from the first other one on. */
  list(): Uint8Array[] {
    const own = patternsOf({ added: this.#added, excluded: this.#excluded });
    if (!this.#hasAll) own.next();
    return [...own, ...this.#others];
  }
}
