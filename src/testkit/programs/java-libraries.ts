import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cachedDirectory } from '../cached-directory.ts';
import { run } from '../run-program.ts';

const LIMIT_MS = 5 * 60_000;

/**
 * Returns the class path of the libraries that the `pom.xml` of a directory names, which Maven
 * fetches once; `undefined` if there is no JDK, or Maven cannot fetch them.
 */
export async function javaLibraries(source: string): Promise<string | undefined> {
  const project = join(source, 'pom.xml');
  const libraries = cachedDirectory('java', readFileSync(project, 'utf8'));
  try {
    if (!(await succeeds('javac', '--version'))) return undefined;
    if (!existsSync(libraries.path)) {
      const target = `-DoutputDirectory=${libraries.draft}`;
      const fetching = ['--quiet', '--batch-mode', '--file', project, 'dependency:copy-dependencies', target];
      if (!(await succeeds('mvn', ...fetching))) return undefined;
      libraries.keep();
    }
    return join(libraries.path, '*');
  } finally {
    rmSync(libraries.draft, { recursive: true, force: true });
  }
}

async function succeeds(file: string, ...args: string[]): Promise<boolean> {
  const options = { timeoutMs: LIMIT_MS };
  const result = await run(file, args, options).catch(() => undefined); // there is no such program
  return result?.code === 0;
}
