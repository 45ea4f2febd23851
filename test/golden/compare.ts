import type { Json, JsonObject } from './recorded-case.ts';

/** Where two values differ, as `path: expected …, got …`; `undefined` when they agree. */
export function difference(
  expected: Json | undefined,
  actual: Json | undefined,
  options: CompareOptions = {},
  path = '',
): string | undefined {
  if (options.ignore?.some((pattern) => matchesPath(pattern, path))) return undefined;
  if (typeof expected === 'string' && typeof actual === 'string') {
    return sameText(expected, actual) ? undefined : differs(path, expected, actual);
  }
  if (Array.isArray(expected) && Array.isArray(actual)) return arrayDifference(expected, actual, options, path);
  if (isObject(expected) && isObject(actual)) return objectDifference(expected, actual, options, path);
  return expected === actual ? undefined : differs(path, expected, actual);
}

export interface CompareOptions {
  /** JSON paths such as `responses[0].size` or `responses[*].time` whose value is volatile. */
  readonly ignore?: readonly string[];
  /** The order of items in lists is not defined. */
  readonly unordered?: boolean;
}

function arrayDifference(expected: Json[], actual: Json[], options: CompareOptions, path: string): string | undefined {
  if (expected.length !== actual.length) return differs(`${path}.length`, expected, actual);
  if (options.unordered) [expected, actual] = [sorted(expected), sorted(actual)];
  for (const [index, item] of expected.entries()) {
    const found = difference(item, actual[index], options, `${path}[${index}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function objectDifference(expected: JsonObject, actual: JsonObject, options: CompareOptions, path: string): string | undefined {
  for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const found = difference(expected[key], actual[key], options, path === '' ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Equal, or equal with `<RANDOM>` standing for the random part of a name; byte fields (base64) are looked into. */
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
  const pattern = expected.split('<RANDOM>').map(escapeRegExp).join('[0-9A-Za-z]+');
  return new RegExp(`^${pattern}$`, 's').test(actual);
}

function fromBase64(text: string): string | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes.toString('latin1') : undefined;
}

/** `responses[0].a` matches the patterns `responses[0].a`, `responses[*].a`, and everything below them. */
function matchesPath(pattern: string, path: string): boolean {
  const expression = escapeRegExp(pattern).replaceAll('\\[\\*\\]', '\\[\\d+\\]');
  return new RegExp(`^${expression}($|[.\\[])`).test(path);
}

/**
 * Cuts a status message where git's own words begin (`…, stderr: "`, `fatal: `): they depend on git's version,
 * the text before them does not.
 */
export function withoutGitsWords(message: string): string {
  return message.replace(/(stderr: "|fatal: |error: ).*$/s, '$1');
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const sorted = (items: Json[]): Json[] => items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

function differs(path: string, expected: Json | undefined, actual: Json | undefined): string {
  return `${path}: expected ${shorten(expected)}, got ${shorten(actual)}`;
}

function shorten(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 1500 ? `${text.slice(0, 1500)}…` : text;
}
