import { type Html, html } from './html.ts';

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** The least amount that is shown as 1024.0 of a unit, and therefore as 1.0 of the next one. */
const NEXT_UNIT = 1023.95;

/** Returns an amount for people: `12 bytes`, `3.4 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return count(bytes, 'byte');
  let unit = 0;
  let amount = bytes / 1024;
  while (amount >= NEXT_UNIT && unit < UNITS.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${amount.toFixed(1)} ${UNITS[unit]}`;
}

/** Returns a duration for people: `85 ms`, `3.2 s`, `4 min`. The limits are those of rounding. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** Returns an instant in UTC; the script of the page shows it in the reader's time zone. */
export function instant(date: Date): Html {
  if (Number.isNaN(date.getTime())) return html`unknown`;
  const iso = date.toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`;
}

/** Returns a number with its noun: `1 file`, `3 files`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
