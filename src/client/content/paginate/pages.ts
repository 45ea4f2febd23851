/** One page of a list. */
export interface Page<Item> {
  /** Items in the order of arrival. */
  readonly items: AsyncIterable<Item>;
  /**
   * Returns the token of the next page; empty or `undefined` at the end. Called after the last
   * item.
   */
  nextToken(): string | undefined;
}

/**
 * Yields all items of a paged list. The next page is requested when the last one was consumed;
 * leaving the loop ends the running call.
 *
 * @param openPage starts the call for the page after a token; the first page has the empty token.
 */
export async function* allPages<Item>(
  openPage: (token: string) => Page<Item>,
): AsyncGenerator<Item, void, undefined> {
  let token: string | undefined = '';
  do {
    const page = openPage(token);
    yield* page.items;
    const next = page.nextToken();
    // prevents an endless loop if a server repeats the token
    token = next === token ? undefined : next;
  } while (token);
}

/**
 * Reads a page of a call without cursors: the last item is the token, and a page that is not full
 * is the last one.
 */
export function pageByLast<Item>(
  items: AsyncIterable<Item>,
  size: number,
  tokenOf: (item: Item) => string,
): Page<Item> {
  let count = 0;
  let last: string | undefined;
  const counted = async function* () {
    for await (const item of items) {
      count++;
      last = tokenOf(item);
      yield item;
    }
  };
  return { items: counted(), nextToken: () => (count === size ? last : undefined) };
}

/** Reads a page of a call that returns the next cursor in any of its messages. */
export function pageByCursor<
  Message extends { readonly paginationCursor?: { readonly nextCursor: string } | undefined },
  Item,
>(messages: AsyncIterable<Message>, itemsOf: (message: Message) => Iterable<Item>): Page<Item> {
  let cursor: string | undefined;
  const watched = async function* () {
    for await (const message of messages) {
      cursor = message.paginationCursor?.nextCursor || cursor;
      yield* itemsOf(message);
    }
  };
  return { items: watched(), nextToken: () => cursor };
}
