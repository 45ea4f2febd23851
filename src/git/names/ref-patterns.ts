import { LoopSlice, mapInTurns } from '#base/async/loop-turns';
import { beginsWith } from './prefixes.ts';
import { compileWildmatch, firstWildcard } from './wildmatch.ts';

/** A test of full reference names. */
export type NameTest = (name: Buffer) => boolean;

const NAMESPACE = Buffer.from('refs/');
const SLASH = 0x2f;

/**
 * Returns a test with the rules of `git for-each-ref`: a name matches if a pattern equals it, leads
 * to it at a slash (`refs/heads`, `refs/heads/`), or matches it as a shell pattern whose wildcards
 * stop at slashes.
 */
export function matchAsPath(
  patterns: readonly Uint8Array[],
  options: { ignoreCase?: boolean } = {},
): NameTest {
  const tests = patterns.map((pattern): NameTest => {
    const leads = leadsTo(Buffer.from(pattern));
    if (firstWildcard(pattern) === -1 && options.ignoreCase !== true) return leads;
    const matches = compileWildmatch(pattern, { pathname: true, ...options });
    return (name) => leads(name) || matches(name);
  });
  return (name) => tests.some((test) => test(name));
}

/**
 * Returns a function that selects from a list what has a name that matches some pattern (or none,
 * with `isExcluding`), by the rules of {@link matchAsPath}. A client determines the number of
 * patterns and the number of references, so it is replaced by other work.
 *
 * @throws the reason of `signal` when it is aborted, from the function it returns.
 */
export function selectByName(
  patterns: readonly Uint8Array[],
  options: { ignoreCase?: boolean; isExcluding?: boolean; signal?: AbortSignal | undefined } = {},
): <T extends { readonly name: Buffer }>(items: readonly T[]) => Promise<T[]> {
  const { isExcluding = false, ignoreCase = false, signal } = options;
  let compiled: NameTest[] | undefined;
  return async (items) => {
    compiled ??= await mapInTurns(patterns, (pattern) => matchAsPath([pattern], { ignoreCase }), signal);
    const selected: (typeof items)[number][] = [];
    const slice = new LoopSlice();
    for (const item of items) {
      let isMatch = false;
      for (const test of compiled) {
        isMatch = test(item.name);
        if (slice.isOverAfterItem()) await slice.pause(signal);
        if (isMatch) break;
      }
      if (isMatch !== isExcluding) selected.push(item);
    }
    return selected;
  };
}

function leadsTo(pattern: Buffer): NameTest {
  if (pattern.length === 0) return () => false;
  const endsWithSlash = pattern.at(-1) === SLASH;
  return (name) =>
    pattern.length <= name.length &&
    (name.length === pattern.length || endsWithSlash || name[pattern.length] === SLASH) &&
    pattern.compare(name, 0, pattern.length) === 0;
}

/** A prefix that matching names have. */
export interface NamePrefix {
  readonly prefix: Buffer;
  /** Every name with that prefix matches. */
  readonly isWhole: boolean;
  /** Only that name matches, and those below it as a directory. */
  readonly isPath: boolean;
}

/**
 * Returns the prefixes of which a matching name must have one: sorted, none a prefix of another,
 * only inside `refs/`.
 */
export function prefixesOf(patterns: readonly Uint8Array[]): NamePrefix[] {
  const found = patterns.flatMap((pattern) => {
    const wildcard = firstWildcard(pattern);
    const literal = Buffer.from(wildcard === -1 ? pattern : pattern.subarray(0, wildcard));
    if (pattern.length === 0) return [];
    if (!beginsWith(literal, NAMESPACE)) {
      return beginsWith(NAMESPACE, literal) ? [{ prefix: NAMESPACE, isWhole: false, isPath: false }] : [];
    }
    const isWhole = wildcard === -1 && literal.at(-1) === SLASH;
    return [{ prefix: literal, isWhole, isPath: wildcard === -1 && !isWhole }];
  });
  found.sort((a, b) => Buffer.compare(a.prefix, b.prefix) || Number(b.isWhole) - Number(a.isWhole));
  const kept: NamePrefix[] = [];
  for (const each of found) {
    const last = kept.at(-1);
    if (last === undefined || !beginsWith(each.prefix, last.prefix)) kept.push(each);
    else if (!each.isPath || !each.prefix.equals(last.prefix)) kept.splice(-1, 1, { ...last, isPath: false });
  }
  return kept;
}
