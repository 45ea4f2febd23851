import type { StatusCode } from '#base/gitaly-error';

/** Status names in the order of their numbers (`grpc-status` 0 to 16). */
export const STATUS_CODES: readonly StatusCode[] = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

const NUMBERS = new Map(STATUS_CODES.map((code, number) => [code, number]));

/** Returns the number of a status on the wire. */
export function statusNumber(code: StatusCode): number {
  return NUMBERS.get(code) ?? 2;
}

/**
 * Returns the status of a number. Unknown numbers become UNKNOWN, as the specification requires.
 */
export function statusCode(number: number): StatusCode {
  return STATUS_CODES[number] ?? 'UNKNOWN';
}
