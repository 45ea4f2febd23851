import { quote } from './quote.ts';

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3, // U+00B5
  μs: 1e3, // U+03BC
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Parses a Go duration (`300ms`, `1h15m`, `-1.5h`, `0`) into milliseconds, including fractions.
 *
 * @throws {Error} with Go's own text (`time: invalid duration "abc"`).
 */
export function parseDurationMs(text: string): number {
  const invalid = (): Error => new Error(`time: invalid duration ${quote(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = /^[-+]/.test(text) ? text.slice(1) : text;
  if (rest === '0') return 0;
  if (rest === '') throw invalid();

  let nanoseconds = 0;
  while (rest !== '') {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)?.[0];
    if (number === undefined) throw invalid();
    rest = rest.slice(number.length);
    const unit = /^[^.\d]*/.exec(rest)?.[0] ?? '';
    if (unit === '') throw new Error(`time: missing unit in duration ${quote(text)}`);
    const factor = NANOSECONDS[unit];
    if (factor === undefined) throw new Error(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    nanoseconds += Number(number) * factor;
    rest = rest.slice(unit.length);
  }
  if (nanoseconds >= 2 ** 63) throw invalid();
  return (sign * nanoseconds) / 1e6;
}

/**
 * Formats milliseconds as Go prints a duration: `5m0s`, `24h0m0s`, `1.5s`, `300ms`, `0s`, `-1s`.
 */
export function formatGoDuration(milliseconds: number): string {
  const sign = milliseconds < 0 ? '-' : '';
  const nanoseconds = Math.round(Math.abs(milliseconds) * 1e6);
  if (nanoseconds === 0) return '0s';
  if (nanoseconds < 1e3) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${sign}${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${sign}${nanoseconds / 1e6}ms`;

  const minutes = Math.floor(nanoseconds / 60e9);
  const seconds = `${Number(((nanoseconds - minutes * 60e9) / 1e9).toFixed(9))}s`;
  if (minutes === 0) return sign + seconds;
  const hours = Math.floor(minutes / 60);
  return `${sign}${hours === 0 ? '' : `${hours}h`}${minutes % 60}m${seconds}`;
}
