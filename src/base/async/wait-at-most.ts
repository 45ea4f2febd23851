import { timerMs } from './timer-ms.ts';

/**
 * Waits for a promise for a limited time; the work behind it continues, and its later result is
 * ignored.
 *
 * @returns what `late` returns if the promise takes longer; `undefined` without it.
 * @throws the promise's rejection; what `late` throws.
 */
export async function waitAtMost<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined>;
export async function waitAtMost<T, L>(promise: Promise<T>, limitMs: number, late: () => L): Promise<T | L>;
export async function waitAtMost(
  promise: Promise<unknown>,
  limitMs: number,
  late?: () => unknown,
): Promise<unknown> {
  const over = Promise.withResolvers<void>();
  using _timer = setTimeout(over.resolve, timerMs(limitMs));
  return await Promise.race([promise, over.promise.then(late)]);
}
