/** One page of a list. */
export interface Page<Item> {
  /** As they come. */
  readonly items: AsyncIterable<Item>;
  /** Token of the next page; empty or `undefined` at the end. Asked after the last item. */
  nextToken(): string | undefined;
}

/**
 * All items of a list that is asked for page by page. The next page is asked for when the last one has been taken; leaving the loop
 * ends the call that runs.
 *
 * @param openPage starts the call for the page behind a token; the first page has the empty token.
 */
export async function* allPages<Item>(openPage: (token: string) => Page<Item>): AsyncGenerator<Item, void, undefined> {
  let token: string | undefined = '';
  do {
    const page = openPage(token);
    yield* page.items;
    const next = page.nextToken();
    token = next === token ? undefined : next; // a server that does not move on would be asked for ever
  } while (token);
}

/** A page of a call without cursors: the last item is the token, and a page that is not full is the last one. */
export function pageByLast<Item>(items: AsyncIterable<Item>, size: number, tokenOf: (item: Item) => string): Page<Item> {
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

/** A page of a call that names the next one in any of its messages. */
export function pageByCursor<Message extends { readonly paginationCursor?: { readonly nextCursor: string } | undefined }, Item>(
  messages: AsyncIterable<Message>,
  itemsOf: (message: Message) => Iterable<Item>,
): Page<Item> {
  let cursor: string | undefined;
  const watched = async function* () {
    for await (const message of messages) {
      cursor = message.paginationCursor?.nextCursor || cursor;
      yield* itemsOf(message);
    }
  };
  return { items: watched(), nextToken: () => cursor };
}
