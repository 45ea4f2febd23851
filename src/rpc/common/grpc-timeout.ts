const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const FORMAT = /^([0-9]{1,8})([HMSmun])$/;
/** The wire allows eight digits. */
const MAX_DIGITS_VALUE = 99_999_999;

/** Parses `grpc-timeout` into milliseconds (a fraction is possible). `undefined` when the text is malformed. */
export function parseGrpcTimeout(text: string): number | undefined {
  const [, digits, unit] = FORMAT.exec(text) ?? [];
  const factor = unit === undefined ? undefined : UNIT_MS[unit];
  return factor === undefined ? undefined : Number(digits) * factor;
}

/** Formats a time to wait with the finest unit that fits, at most down to microseconds; zero and less are `0m`. Rounds up. */
export function formatGrpcTimeout(milliseconds: number): string {
  if (!(milliseconds > 0)) return '0m';
  if (milliseconds * 1000 <= MAX_DIGITS_VALUE) return `${Math.ceil(milliseconds * 1000)}u`;
  if (milliseconds <= MAX_DIGITS_VALUE) return `${Math.ceil(milliseconds)}m`;
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds <= MAX_DIGITS_VALUE) return `${seconds}S`;
  return `${Math.min(Math.ceil(seconds / 3600), MAX_DIGITS_VALUE)}H`;
}
