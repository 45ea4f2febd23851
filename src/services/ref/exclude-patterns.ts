import { eachInTurn } from '#base/async/loop-turns';
import { invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';

/** Checks the patterns of references to leave out. @throws {GitalyError} INVALID_ARGUMENT. */
export async function checkExcludes(
  patterns: readonly Uint8Array[],
  namespace: 'refs/' | 'refs/heads/',
): Promise<void> {
  await eachInTurn(patterns, (pattern) => {
    const problem = problemOf(Buffer.from(pattern), namespace);
    if (problem !== undefined) throw invalidArgument(problem);
  });
}

function problemOf(pattern: Buffer, namespace: string): string | undefined {
  if (pattern.length === 0) return 'empty exclude pattern';
  if (pattern.includes(0)) return `exclude pattern contains null byte: ${quote(pattern)}`;
  if (!pattern.subarray(0, namespace.length).equals(Buffer.from(namespace))) {
    return `exclude pattern must start with ${quote(namespace)}: ${quote(pattern)}`;
  }
  return undefined;
}
