import type { ListObjectsOptions } from '#object-store/object-store';
import { MANIFESTS } from './catalog.ts';

/** Maximum number of names in the report; the rest is counted. */
const MAX_SHOWN = 5;

/**
 * The repositories of which another program stored backups under names that no call can use: they
 * cannot be listed, verified, restored or pruned here.
 */
export class LeftOutRepositories {
  readonly #end: string;
  readonly #shown: string[] = [];
  #last = '';
  #count = 0;

  /** @param id of the backups; empty for all. */
  constructor(id = '') {
    this.#end = id === '' ? '.toml' : `/${id}.toml`;
  }

  /** Receives the names, in the order of a list. @see ListObjectsOptions.onUnusable */
  readonly note: NonNullable<ListObjectsOptions['onUnusable']> = (name) => {
    if (!name.startsWith(MANIFESTS) || !name.endsWith(this.#end)) return;
    const folder = name.slice(MANIFESTS.length, name.lastIndexOf('/'));
    if (folder === this.#last) return;
    this.#last = folder;
    this.#count++;
    if (this.#shown.length < MAX_SHOWN) this.#shown.push(JSON.stringify(folder));
  };

  get count(): number {
    return this.#count;
  }

  /** Returns a line for users; empty if there are none. */
  get report(): string {
    if (this.#count === 0) return '';
    const hidden = this.#count - this.#shown.length;
    const names = this.#shown.join(', ') + (hidden > 0 ? ` and ${hidden} more` : '');
    const noun = this.#count === 1 ? 'repository' : 'repositories';
    const reason = 'with control characters in the name or a too long one';
    return `left out ${this.#count} ${noun}, ${reason}: ${names}\n`;
  }
}
