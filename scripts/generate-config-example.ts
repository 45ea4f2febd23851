/**
 * Writes `config.toml.example` from the configuration schema.
 *
 *   node --conditions=source scripts/generate-config-example.ts            writes the file
 *   node --conditions=source scripts/generate-config-example.ts --check    compares only
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exampleConfig } from '#platform/config/example-config';

const FILE = 'config.toml.example';
const path = join(import.meta.dirname, '..', FILE);

if (process.argv[2] !== '--check') writeFileSync(path, exampleConfig());
else if (readFileSync(path, 'utf8') !== exampleConfig()) {
  console.error(`${FILE} does not agree with the schema: run "npm run gen" and commit the result.`);
  process.exitCode = 1;
}
