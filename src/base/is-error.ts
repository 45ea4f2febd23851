/**
 * Reports whether a value is an error, of whichever realm: test runners that give each test file
 * its own globals (Jest, vitest's vmThreads) have another `Error` than Node's own modules.
 */
export function isError(value: unknown): value is Error {
  return Error.isError(value);
}
