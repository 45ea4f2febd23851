import { STATUS_CODES, type StatusCode } from '#base/gitaly-error';

const NUMBERS = new Map(STATUS_CODES.map((code, number) => [code, number]));

export function statusNumber(code: StatusCode): number {
  return NUMBERS.get(code) ?? 2;
}

/**
 * Returns the status of a number. Unknown numbers become UNKNOWN, as the specification requires.
 */
export function statusCode(number: number): StatusCode {
  return STATUS_CODES[number] ?? 'UNKNOWN';
}
