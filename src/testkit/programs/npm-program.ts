import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cachedDirectory } from '../cached-directory.ts';
import { run } from '../run-program.ts';

const INSTALL_LIMIT_MS = 10 * 60 * 1000;
const FILES = ['package.json', 'package-lock.json'];

/**
 * Installs the packages of a directory and returns the path of a file in them; `undefined` if npm's
 * registry cannot be reached. They are installed once for each state of the lock file.
 */
export async function npmProgram(source: string, file: string): Promise<string | undefined> {
  const facts = FILES.map((name) => readFileSync(join(source, name), 'utf8'));
  const { draft, keep, path } = cachedDirectory(`npm-${basename(source)}`, facts);
  const program = join(path, 'node_modules', file);
  if (existsSync(program)) return program;

  mkdirSync(draft);
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
    keep();
    return program;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
