import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ConfigPair } from '#git/command/config';

/**
 * Parses the `key=value` settings of a request. Keys are not restricted, because the callers of
 * these RPCs are trusted.
 *
 * @throws {GitalyError} without a code: the RPCs return different ones.
 */
export function parseConfigOptions(options: readonly string[]): ConfigPair[] {
  return options.map((option) => {
    const at = option.indexOf('=');
    if (at === -1) throw new GitalyError('UNKNOWN', `cannot convert invalid config key: ${quote(option)}`);
    return { key: option.slice(0, at), value: option.slice(at + 1) };
  });
}

/** The first and the last part of a key. */
const PART = /^[A-Za-z0-9][-A-Za-z0-9]*$/;

/**
 * Refuses settings that git would parse as something else.
 *
 * @throws {GitalyError} `invalid configuration key "x": key: …`, without a code.
 */
export function checkConfigKeys(pairs: readonly ConfigPair[]): void {
  for (const { key } of pairs) {
    const wrong = whatIsWrong(key);
    if (wrong !== undefined)
      throw new GitalyError('UNKNOWN', `invalid configuration key ${quote(key)}: key: ${wrong}`);
  }
}

function whatIsWrong(key: string): string | undefined {
  if (key === '') return 'not set';
  if (!key.includes('.')) return `key ${quote(key)} must contain at least one section`;
  if (key.startsWith('.') || key.endsWith('.')) return `key ${quote(key)} must not start or end with a dot`;
  return isKey(key) ? undefined : `key ${quote(key)} failed regexp validation`;
}

/**
 * Reports whether a text is a key. The part between the first and the last dot may be any text
 * (URLs with `*` and `@`), except characters that would end it.
 *
 * @see Gitaly: configKeyRegex
 */
function isKey(text: string): boolean {
  const [first, last] = [text.indexOf('.'), text.lastIndexOf('.')];
  if (!PART.test(text.slice(0, first)) || !PART.test(text.slice(last + 1))) return false;
  return first === last || (last > first + 1 && !/[=\n]/.test(text.slice(first, last)));
}
