import { LoopSlice } from '../async/loop-turns.ts';

/**
 * Maps items in order, and starts up to `ahead` of them before their results are requested. Results
 * and errors come in the order of the items: the error of a later item never overtakes the result
 * of an earlier one. Results that are no longer requested are dropped. Other work runs in between
 * where results come without waiting.
 */
export async function* mapAhead<T, R>(
  items: Iterable<T>,
  ahead: number,
  map: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  const slice = new LoopSlice();
  for (const item of items) {
    if (slice.isOver) await slice.pause();
    const result = map(item);
    // It may fail before its turn.
    result.catch(() => {});
    running.push(result);
    if (running.length < ahead) continue;
    const first = running.shift();
    if (first !== undefined) yield await first;
  }
  for (const result of running) yield await result;
}
