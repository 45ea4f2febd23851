import { compileWildmatch, firstWildcard } from './wildmatch.ts';

/** A test of full reference names. */
export type NameTest = (name: Buffer) => boolean;

const NAMESPACE = Buffer.from('refs/');
const SLASH = 0x2f;

/**
 * What `git for-each-ref` makes of patterns: a name matches when a pattern is the name itself, leads to it at a slash
 * (`refs/heads`, `refs/heads/`), or matches it as a shell pattern whose wildcards stop at slashes.
 */
export function matchAsPath(patterns: readonly Uint8Array[], options: { ignoreCase?: boolean } = {}): NameTest {
  const tests = patterns.map((pattern): NameTest => {
    const leads = leadsTo(Buffer.from(pattern));
    if (firstWildcard(pattern) === -1 && options.ignoreCase !== true) return leads;
    const matches = compileWildmatch(pattern, { pathname: true, ...options });
    return (name) => leads(name) || matches(name);
  });
  return (name) => tests.some((test) => test(name));
}

function leadsTo(pattern: Buffer): NameTest {
  if (pattern.length === 0) return () => false;
  const endsWithSlash = pattern.at(-1) === SLASH;
  return (name) =>
    pattern.length <= name.length &&
    (name.length === pattern.length || endsWithSlash || name[pattern.length] === SLASH) &&
    pattern.compare(name, 0, pattern.length) === 0;
}

/**
 * The beginnings that a name must have one of to match a pattern, sorted, none the beginning of another; nothing outside of `refs/`.
 * `isWhole`: every name with that beginning matches.
 */
export function prefixesOf(patterns: readonly Uint8Array[]): { readonly prefix: Buffer; readonly isWhole: boolean }[] {
  const found = patterns.flatMap((pattern) => {
    const wildcard = firstWildcard(pattern);
    const literal = Buffer.from(wildcard === -1 ? pattern : pattern.subarray(0, wildcard));
    if (pattern.length === 0) return [];
    if (!beginsWith(literal, NAMESPACE)) {
      return beginsWith(NAMESPACE, literal) ? [{ prefix: NAMESPACE, isWhole: false }] : [];
    }
    return [{ prefix: literal, isWhole: wildcard === -1 && literal.at(-1) === SLASH }];
  });
  found.sort((a, b) => Buffer.compare(a.prefix, b.prefix) || Number(b.isWhole) - Number(a.isWhole));
  const kept: typeof found = [];
  for (const each of found) {
    const last = kept.at(-1);
    if (last === undefined || !beginsWith(each.prefix, last.prefix)) kept.push(each);
  }
  return kept;
}

function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.length >= beginning.length && beginning.compare(bytes, 0, beginning.length) === 0;
}
