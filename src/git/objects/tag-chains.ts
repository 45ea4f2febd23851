import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import type { ObjectReader } from './object-reader.ts';
import { tagTarget } from './parse/tag-target.ts';

/** Where a tag leads. */
export interface TagChain {
  /** The tag, and those that it leads to, up to one that was followed before. */
  readonly tags: readonly string[];
  /** The object that is no tag. */
  readonly end: string;
}

/**
 * Follows tags to what they lead to. Tags of tags are remembered: of thousands, each leads to the
 * next one, and all have references, so that following each to its end would take minutes.
 */
export class TagChains {
  readonly #objects: Pick<ObjectReader, 'info' | 'readInProcess'>;
  readonly #signal: AbortSignal;
  /** Ends of tags of tags, and of these. */
  readonly #ends = new Map<string, string>();

  constructor(objects: Pick<ObjectReader, 'info' | 'readInProcess'>, signal: AbortSignal) {
    this.#objects = objects;
    this.#signal = signal;
  }

  /**
   * @param knownEnd Its object is not read. @throws {FallBackToGit} when an object is missing or
   *   unusual; {GitalyError} of an abort.
   */
  async follow(oid: string, knownEnd?: string): Promise<TagChain> {
    const tags: string[] = [];
    let at = oid;
    let end = this.#ends.get(at);
    while (end === undefined) {
      const target = at === knownEnd ? undefined : await this.#targetOf(at);
      if (target === undefined) end = at;
      else {
        tags.push(at);
        at = target;
        end = this.#ends.get(at);
      }
    }
    // Most tags are no tags of tags, and nothing is kept of them.
    if (tags.length > 1 || at !== end) for (const tag of tags) this.#ends.set(tag, end);
    return { tags, end };
  }

  /** Returns the target of a tag; `undefined` for another object. */
  async #targetOf(oid: string): Promise<string | undefined> {
    const signal = this.#signal;
    const info = await this.#objects.info(oid, { signal }).catch(fallBackOnFailure);
    if (info === undefined) throw new FallBackToGit('a tag leads to nothing');
    if (info.type !== 'tag') return undefined;
    const { data } = await this.#objects.readInProcess(oid, { signal });
    const target = tagTarget(oid, data);
    if (target === undefined) throw new FallBackToGit('a tag is unusual');
    return target;
  }
}
