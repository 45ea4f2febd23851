import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { ConfigPair } from '#git/command/config';

/**
 * Reads the `key=value` settings of a request. Which keys are allowed is not our business: whoever may send them is trusted.
 *
 * @throws {GitalyError} without a code of its own: the RPCs differ in which one they answer with.
 */
export function parseConfigOptions(options: readonly string[]): ConfigPair[] {
  return options.map((option) => {
    const at = option.indexOf('=');
    if (at === -1) throw new GitalyError('UNKNOWN', `cannot convert invalid config key: ${quote(option)}`);
    return { key: option.slice(0, at), value: option.slice(at + 1) };
  });
}

/** The key may hold anything in its middle part (URLs with `*` and `@`), but not what would end it. */
const KEY = /^[A-Za-z0-9]+[-A-Za-z0-9]*\.(?:[^=\n]+\.)*[A-Za-z0-9]+[-A-Za-z0-9]*$/;

/**
 * Refuses settings that git would read as something else.
 *
 * @throws {GitalyError} `invalid configuration key "x": key: …`, without a code of its own.
 */
export function checkConfigKeys(pairs: readonly ConfigPair[]): void {
  for (const { key } of pairs) {
    const wrong = whatIsWrong(key);
    if (wrong !== undefined) throw new GitalyError('UNKNOWN', `invalid configuration key ${quote(key)}: key: ${wrong}`);
  }
}

function whatIsWrong(key: string): string | undefined {
  if (key === '') return 'not set';
  if (!key.includes('.')) return `key ${quote(key)} must contain at least one section`;
  if (key.startsWith('.') || key.endsWith('.')) return `key ${quote(key)} must not start or end with a dot`;
  return KEY.test(key) ? undefined : `key ${quote(key)} failed regexp validation`;
}
