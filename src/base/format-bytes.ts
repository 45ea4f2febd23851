const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;
const UNIT = 1024;

/** Formats an amount for people: `12 bytes`, `3.4 MiB`, `34.0 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < UNIT) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  return inUnits(bytes, (amount) => amount.toFixed(1));
}

/** Formats an amount for tables and progress bars: `12 B`, `3.4 MiB`, `34 MiB`. */
export function formatShortBytes(bytes: number): string {
  if (bytes < UNIT) return `${Math.round(bytes)} B`;
  return inUnits(bytes, (amount) => amount.toFixed(amount < 10 ? 1 : 0));
}

function inUnits(bytes: number, textOf: (amount: number) => string): string {
  let unit = 0;
  let amount = bytes / UNIT;
  // What is rounded to 1024 of a unit is 1 of the next one.
  while (Number(textOf(amount)) >= UNIT && unit < UNITS.length - 1) {
    amount /= UNIT;
    unit++;
  }
  return `${textOf(amount)} ${UNITS[unit]}`;
}
