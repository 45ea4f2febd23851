const LINE_FEED = 0x0a;
/** First number of bytes that are compared; it doubles while they are equal. */
const FIRST_BYTES = 256;

/** Returns the length of the complete lines with which both texts begin. */
export function commonStart(left: Buffer, right: Buffer): number {
  const limit = Math.min(left.length, right.length);
  const same = equalBytes(limit, (from, to) => left.compare(right, from, to, from, to) === 0);
  return left.subarray(0, same).lastIndexOf(LINE_FEED) + 1;
}

/** Returns the length of the complete lines with which both texts end, after `start` bytes of both. */
export function commonEnd(left: Buffer, right: Buffer, start: number): number {
  const limit = Math.min(left.length, right.length) - start;
  const same = equalBytes(
    limit,
    (from, to) =>
      left.compare(right, right.length - to, right.length - from, left.length - to, left.length - from) === 0,
  );
  // The first of these lines may start before them.
  const begin = left.indexOf(LINE_FEED, left.length - same);
  return same === 0 || begin === -1 ? 0 : left.length - begin - 1;
}

/** Returns how many bytes are equal, up to a limit. @param areEqual Compares a range. */
function equalBytes(limit: number, areEqual: (from: number, to: number) => boolean): number {
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
