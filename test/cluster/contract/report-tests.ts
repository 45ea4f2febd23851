// Runs files of tests and writes a line of JSON for each test:
//
//   node --import REDIRECT report-tests.ts ISOLATION FILE …
//
// run-redirected.ts starts it. A file may be a glob.

import { globSync } from 'node:fs';
import { ignorePromises } from '../../../scripts/tests/ignore-promises.ts';
import { jsonLines } from './json-lines.ts';

const TIMEOUT_MS = 300_000;
/** Files at a time, when each has a process. */
const CONCURRENCY = 2;

ignorePromises();
const { run } = await import('node:test');
const [isolation, ...globs] = process.argv.slice(2);
const files = globSync(globs).sort();
const tests =
  isolation === 'process'
    ? run({ files, concurrency: CONCURRENCY, timeout: TIMEOUT_MS })
    : run({ files, isolation: 'none', timeout: TIMEOUT_MS });
for await (const line of jsonLines(tests)) process.stdout.write(line);
