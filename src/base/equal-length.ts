/** First number of bytes that are compared; it doubles while they are equal. */
const FIRST_BYTES = 256;

/**
 * Returns how many bytes are equal from the beginning, up to a limit.
 *
 * @param areEqual Compares a range, which begins where the bytes before are equal.
 */
export function equalLength(limit: number, areEqual: (from: number, to: number) => boolean): number {
  let same = 0;
  let step = FIRST_BYTES;
  while (same < limit && areEqual(same, Math.min(same + step, limit))) {
    same = Math.min(same + step, limit);
    step *= 2;
  }
  while (step > 1) {
    step /= 2;
    if (same + step <= limit && areEqual(same, same + step)) same += step;
  }
  return same;
}
