/** Ends a switch over a closed set. The compiler reports an error if a member is not handled. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${String(value)}`);
}
