import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/**
 * Writes a generated file; with the argument `--check` only compares it.
 *
 * @param path from the root of the project.
 */
export function generateFile(path: string, content: string): void {
  const file = join(ROOT, path);
  if (!process.argv.includes('--check')) writeFileSync(file, content);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== content) {
    console.error(`${path} is not up to date: run "npm run gen" and commit the result.`);
    process.exitCode = 1;
  }
}
