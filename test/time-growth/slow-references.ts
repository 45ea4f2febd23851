/**
 * Makes the check of reference names slow, by the search part of this module's address:
 * expressions that the check applies in addition. Preloaded.
 */
import { registerHooks } from 'node:module';

const CHECK = "if (text.startsWith('refs/')";
const { searchParams } = new URL(import.meta.url);
const tests = searchParams
  .getAll('expression')
  .map((expression) => `/${expression}/.test(text);\n`)
  .join('');

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith('/git/names/validate-reference.ts')) return loaded;
    const source = String(loaded.source);
    if (!source.includes(CHECK)) throw new Error(`${url} has no ${CHECK}`);
    return {
      ...loaded,
      source: source.replace(CHECK, `${tests}${CHECK}`),
    };
  },
});
