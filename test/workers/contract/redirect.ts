// Loaded before tests of a single server (`node --import`): their `startGitaly` starts workers.

import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

const ROOT = new URL('../../../', import.meta.url).href;
const WORKERS = pathToFileURL(`${import.meta.dirname}/start-gitaly.ts`).href;
const FROM = [`${ROOT}src/services/`, `${ROOT}test/golden/`];

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '#testkit/start-gitaly' && FROM.some((folder) => context.parentURL?.startsWith(folder))
      ? { url: WORKERS, format: 'module-typescript', shortCircuit: true }
      : next(specifier, context),
});
