import { formatShortBytes } from '#base/format-bytes';
import { formatSeconds } from './format-seconds.ts';

export interface BarState {
  readonly total: number;
  readonly done: number;
  /** Transferred; `undefined` if nothing is. */
  readonly bytes?: number;
  /** Further facts, such as `1 failed`. */
  readonly facts?: readonly string[];
  /** Finished part of the work, 0 to 1; only for the estimate of the remaining time. */
  readonly fraction: number;
  readonly elapsedSeconds: number;
}

const BAR_WIDTH = 24;
/** Minimum for an estimate. */
const [MIN_SECONDS, MIN_FRACTION] = [2, 0.02];

/**
 * Returns one line: `[########----------------] 3/9 repositories 12 MiB 4.1 MiB/s 0:12 left`, cut
 * to the width of the terminal.
 */
export function formatBar(state: BarState, columns: number): string {
  const { total, done, bytes, facts = [], fraction, elapsedSeconds } = state;
  const filled = Math.min(BAR_WIDTH, Math.floor(Math.max(fraction, 0) * BAR_WIDTH));
  const isKnown = elapsedSeconds >= MIN_SECONDS && fraction >= MIN_FRACTION && fraction < 1;
  const parts = [
    `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}] ${done}/${total} repositories`,
    ...(bytes === undefined
      ? []
      : [formatShortBytes(bytes), `${formatShortBytes(elapsedSeconds > 0 ? bytes / elapsedSeconds : 0)}/s`]),
    ...facts,
    isKnown ? `${formatSeconds((elapsedSeconds * (1 - fraction)) / fraction)} left` : '',
  ];
  return parts
    .filter(Boolean)
    .join('  ')
    .slice(0, Math.max(columns - 1, 0));
}
