import type { NamedObject } from '#git/objects/read-many';
import type { PaginationParameter } from '#wire/gen/shared_pb';

const MAX_INT32 = 2 ** 31 - 1;

/**
 * Cuts a page out of a list of commits: behind the commit that the token names, up to the limit.
 */
export class CommitPage {
  readonly #limit: number;
  readonly #token: string;
  #nextCursor: string | undefined;

  /** @param parameter pagination of the request; a limit of 0 or less means no limit. */
  constructor(parameter: PaginationParameter | undefined) {
    this.#limit = parameter !== undefined && parameter.limit > 0 ? parameter.limit : Number.POSITIVE_INFINITY;
    this.#token = parameter?.pageToken ?? '';
  }

  /**
   * Largest number of commits of the list to read; `undefined` when it is unknown in advance, or
   * cannot be passed to git.
   */
  get maxCount(): number | undefined {
    return this.#token === '' && this.#limit < MAX_INT32 ? this.#limit + 1 : undefined;
  }

  /** The last commit of the page, if more commits follow it. */
  get nextCursor(): string | undefined {
    return this.#nextCursor;
  }

  /**
   * The commits of the page; none when the token names a commit that is not in the list. The list
   * is read one commit beyond it.
   */
  async *cut<T extends NamedObject>(
    batches: AsyncIterable<readonly T[]>,
  ): AsyncGenerator<readonly T[], void, undefined> {
    let isInside = this.#token === '';
    let left = this.#limit;
    let last = '';
    for await (const batch of batches) {
      const found = isInside ? -1 : batch.findIndex(({ oid }) => oid === this.#token);
      if (!isInside && found === -1) continue;
      isInside = true;
      const items = found === -1 && batch.length <= left ? batch : batch.slice(found + 1, found + 1 + left);
      if (items.length > 0) yield items;
      left -= items.length;
      last = items.at(-1)?.oid ?? last;
      if (found + 1 + items.length < batch.length) {
        this.#nextCursor = last;
        return;
      }
    }
  }
}
