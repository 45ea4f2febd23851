/** Set in `make soak`: its length, compared with the usual one. */
const { GITALY_SOAK: soak = '' } = process.env;

/** True in `make soak`, which runs the long forms of tests. */
export const isSoak = soak !== '';

interface Extent {
  /** In `make test`. */
  readonly short: number;
  /** In `make soak`. */
  readonly long: number;
}

/**
 * Returns the size of what a test works on: a number from the environment variable `name`, else
 * `long` in a soak of any length and `short` in `make test`.
 */
export function extent(name: string, { short, long }: Extent): number {
  return given(name) ?? (isSoak ? long : short);
}

/**
 * Returns how often or how long a test repeats something. Like `extent`, but `long` is for a soak
 * of the usual length; a longer one repeats more.
 */
export function repetitions(name: string, { short, long }: Extent): number {
  return given(name) ?? (isSoak ? Math.max(short, Math.round(long * Number(soak))) : short);
}

/**
 * Returns the share of a sweep that a soak tries. @param usual the share in a soak of the usual
 * length.
 */
export function soakShare(usual: number): number {
  return Math.min(1, usual * Number(soak));
}

/**
 * Returns the variables for a run that replays every n-th recording of `test/golden`: the first of
 * every n in `make test`; in the soak more, beginning at the one that the seed chooses.
 *
 * @param long n in a soak of the usual length; a longer one replays more.
 */
export function everyRecording({ short, long }: Extent, seed: number): Readonly<Record<string, string>> {
  if (!isSoak) return { GOLDEN_EVERY: String(short) };
  const every = Math.max(1, Math.round(long / Number(soak)));
  return { GOLDEN_EVERY: String(every), GOLDEN_OFFSET: String(seed % every) };
}

function given(name: string): number | undefined {
  const text = process.env[name] ?? '';
  return text === '' ? undefined : Number(text);
}
