/**
 * Maps items in order, beginning up to `ahead` of them before the results are asked for. Results and errors come in the order of the
 * items: an error of a later item never overtakes the result of an earlier one. Results that nobody asks for any more are dropped.
 */
export async function* mapAhead<T, R>(items: Iterable<T>, ahead: number, map: (item: T) => Promise<R>): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  for (const item of items) {
    const result = map(item);
    // It may fail before its turn comes.
    result.catch(() => {});
    running.push(result);
    if (running.length < ahead) continue;
    const first = running.shift();
    if (first !== undefined) yield await first;
  }
  for (const result of running) yield await result;
}
