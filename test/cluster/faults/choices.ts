import type { Choices } from './fault-kinds.ts';

/** Returns choices that a seed repeats: a linear congruential generator, as in C's standard example. */
export function choicesOf(seed: number): Choices {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % limit;
  };
  return { below, of: (values) => values[below(values.length)] as (typeof values)[number] };
}
