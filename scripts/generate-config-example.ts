/**
 * Writes `config.toml.example` and `config.praefect.toml.example` from the configuration schemas.
 *
 *   node --conditions=source scripts/generate-config-example.ts            writes the files
 *   node --conditions=source scripts/generate-config-example.ts --check    compares only
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exampleConfig } from '#platform/config/example-config';
import { schema } from '#platform/config/schema/schema';
import { praefectSchema } from '#praefect/config/schema';

const GITALY_HEADER = `# Configuration of gitaly. Generated from src/platform/config/schema/schema.ts:
# change it there, then run "make gen".
#
# A server behind GitLab needs the settings that are not commented out. To run without GitLab,
# remove bin_dir and [gitlab]. Check a file with: gitaly configuration validate < config.toml
`;

const PRAEFECT_HEADER = `# Configuration of praefect. Generated from src/praefect/config/schema.ts:
# change it there, then run "make gen".
`;

const FILES = {
  'config.toml.example': exampleConfig(schema, GITALY_HEADER),
  'config.praefect.toml.example': exampleConfig(praefectSchema, PRAEFECT_HEADER),
};

for (const [name, content] of Object.entries(FILES)) {
  const path = join(import.meta.dirname, '..', name);
  if (process.argv[2] !== '--check') writeFileSync(path, content);
  else if (readFileSync(path, 'utf8') !== content) {
    console.error(`${name} does not agree with the schema: run "npm run gen" and commit the result.`);
    process.exitCode = 1;
  }
}
