import type { Json, JsonObject } from './recorded-case.ts';

/** Two values that differ, and where. */
export interface Difference {
  /** JSON path, such as `responses[0].commit.id`. */
  readonly path: string;
  readonly expected: Json | undefined;
  readonly actual: Json | undefined;
}

export interface CompareOptions {
  /** JSON paths such as `responses[0].size` or `responses[*].time` of volatile values. */
  readonly ignore?: readonly string[];
  /** True if the order of items in lists is undefined. */
  readonly unordered?: boolean;
}

/** Returns all differences of two values, without those below ignored paths. */
export function differences(
  expected: Json | undefined,
  actual: Json | undefined,
  options: CompareOptions = {},
  path = '',
): Difference[] {
  if (options.ignore?.some((pattern) => matchesPath(pattern, path))) return [];
  if (typeof expected === 'string' && typeof actual === 'string') {
    return sameText(expected, actual) ? [] : [{ path, expected, actual }];
  }
  if (Array.isArray(expected) && Array.isArray(actual))
    return arrayDifferences(expected, actual, options, path);
  if (isObject(expected) && isObject(actual)) return objectDifferences(expected, actual, options, path);
  return expected === actual ? [] : [{ path, expected, actual }];
}

function arrayDifferences(
  expected: Json[],
  actual: Json[],
  options: CompareOptions,
  path: string,
): Difference[] {
  if (expected.length !== actual.length) return [{ path, expected, actual }];
  if (options.unordered) [expected, actual] = [sorted(expected), sorted(actual)];
  return expected.flatMap((item, index) => differences(item, actual[index], options, `${path}[${index}]`));
}

function objectDifferences(
  expected: JsonObject,
  actual: JsonObject,
  options: CompareOptions,
  path: string,
): Difference[] {
  const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
  return [...keys].flatMap((key) =>
    differences(expected[key], actual[key], options, path === '' ? key : `${path}.${key}`),
  );
}

/**
 * Reports whether texts are equal, or equal with `<RANDOM>` as a placeholder for the random part of
 * a name. Byte fields (base64) are decoded.
 */
function sameText(expected: string, actual: string): boolean {
  // Go's protobuf library writes a no-break space at random, so that nobody depends on its texts.
  expected = expected.replaceAll('\u00a0', ' ');
  actual = actual.replaceAll('\u00a0', ' ');
  if (expected === actual || matchesRandom(expected, actual)) return true;
  const [left, right] = [fromBase64(expected), fromBase64(actual)];
  return left !== undefined && right !== undefined && matchesRandom(left, right);
}

function matchesRandom(expected: string, actual: string): boolean {
  if (!expected.includes('<RANDOM>')) return false;
  const pattern = expected.split('<RANDOM>').map(escapeRegExp).join('[0-9A-Za-z.]+');
  return new RegExp(`^${pattern}$`, 's').test(actual);
}

function fromBase64(text: string): string | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes.toString('latin1') : undefined;
}

/**
 * Reports whether a path matches: `responses[0].a` matches the patterns `responses[0].a`,
 * `responses[*].a`, and everything below them.
 */
export function matchesPath(pattern: string, path: string): boolean {
  const expression = escapeRegExp(pattern).replaceAll('\\[\\*\\]', '\\[\\d+\\]');
  return new RegExp(`^${expression}($|[.\\[])`).test(path);
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const sorted = (items: Json[]): Json[] =>
  items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
