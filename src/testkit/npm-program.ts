import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from './run-program.ts';

/** Installed packages, by the hash of their lock file; not under version control. */
const CACHE = join(import.meta.dirname, '../../.cache/npm');
const INSTALL_LIMIT_MS = 10 * 60 * 1000;
const FILES = ['package.json', 'package-lock.json'];

/**
 * Installs the packages of a directory and returns the path of a file in them; `undefined` if npm's
 * registry cannot be reached. They are installed once for each state of the lock file.
 */
export async function npmProgram(source: string, file: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  for (const name of FILES) hash.update(readFileSync(join(source, name)));
  const directory = join(CACHE, `${basename(source)}-${hash.digest('hex').slice(0, 16)}`);
  const program = join(directory, 'node_modules', file);
  if (existsSync(program)) return program;

  const draft = `${directory}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  try {
    for (const name of FILES) copyFileSync(join(source, name), join(draft, name));
    const options = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    const { code, stderr } = await run('npm', ['ci', ...options], {
      cwd: draft,
      timeoutMs: INSTALL_LIMIT_MS,
    });
    if (code !== 0 && /\b(?:ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ENETUNREACH)\b/.test(stderr))
      return undefined;
    if (code !== 0) throw new Error(`npm ci in ${basename(source)} failed: ${stderr}`);
    publish(draft, directory);
    return program;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Renames the draft, unless another process was faster. */
function publish(draft: string, directory: string): void {
  try {
    renameSync(draft, directory);
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}
