// Finds the modules of src/ for processes that tests start with `--conditions=source`; run-tests.ts
// adds it to NODE_OPTIONS. For each import Node looks for a package.json in all folders above the
// module, which takes half of the CPU time of such a start.

import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = pathToFileURL(join(import.meta.dirname, '../../')).href;

registerHooks({
  resolve(specifier, context, next) {
    const { parentURL, conditions } = context;
    if (!parentURL?.startsWith(ROOT) || !conditions.includes('source')) return next(specifier, context);
    const url = urlOf(specifier, parentURL);
    if (url === undefined || url.includes('/node_modules/')) return next(specifier, context);
    return { url, format: url.endsWith('.ts') ? 'module-typescript' : 'module', shortCircuit: true };
  },
});

/** Returns what `imports` of package.json leads to, or a relative path of a source. */
function urlOf(specifier: string, parentURL: string): string | undefined {
  if (specifier.startsWith('#wire/gen/')) return `${ROOT}src/${specifier.slice(1)}.js`;
  if (specifier.startsWith('#')) return `${ROOT}src/${specifier.slice(1)}.ts`;
  if (/^\.\.?\/.*\.ts$/.test(specifier)) return new URL(specifier, parentURL).href;
  return undefined;
}
