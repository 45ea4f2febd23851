/**
 * Yields the items of messages that carry lists, one by one: `eachItem(connection.ref.listRefs(…),
 * ({ references }) => references)`.
 */
export async function* eachItem<Message, Item>(
  messages: AsyncIterable<Message>,
  itemsOf: (message: Message) => Iterable<Item>,
): AsyncGenerator<Item, void, undefined> {
  for await (const message of messages) yield* itemsOf(message);
}
