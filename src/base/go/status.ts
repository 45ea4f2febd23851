import type { StatusCode } from '../gitaly-error.ts';

/** Returns the name of a status (`NotFound`), as it stands in log lines and metric labels. */
export function statusName(code: StatusCode): string {
  if (code === 'OK') return 'OK';
  if (code === 'CANCELLED') return 'Canceled';
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

/** Returns a failed call as Go prints it: `rpc error: code = NotFound desc = …`. */
export function statusText(code: StatusCode, message: string): string {
  return `rpc error: code = ${statusName(code)} desc = ${message}`;
}
