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

/** The number of a status on the wire. */
export function statusNumber(code: StatusCode): number {
  return NUMBERS.get(code) ?? 2;
}

/** The status of a number; numbers that gRPC does not know become UNKNOWN, as the specification asks. */
export function statusCode(number: number): StatusCode {
  return STATUS_CODES[number] ?? 'UNKNOWN';
}

/** grpc-go's spelling of a status (`NotFound`), as it stands in Gitaly's log lines and metric labels. */
export function statusGoName(code: StatusCode): string {
  if (code === 'OK') return 'OK';
  if (code === 'CANCELLED') return 'Canceled';
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}
