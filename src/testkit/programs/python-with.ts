import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cachedDirectory } from '../cached-directory.ts';
import { run } from '../run-program.ts';

const INSTALL_LIMIT_MS = 5 * 60_000;
const PYTHON = 'bin/python';

/** Returns a Python that has grpcio and grpcio-tools; `undefined` if it cannot be installed. */
export function pythonWithGrpc(): Promise<string | undefined> {
  return pythonWith('grpc', ['grpcio==1.76.0', 'grpcio-tools==1.76.0']);
}

/**
 * Returns a Python with these packages, which are installed once; `undefined` if that is not
 * possible. Run their programs with `-m`: scripts name the directory in which they were installed.
 */
export async function pythonWith(name: string, packages: readonly string[]): Promise<string | undefined> {
  const environment = cachedDirectory(`python-${name}`, packages);
  const python = join(environment.path, PYTHON);
  if (existsSync(python)) return python;
  try {
    if (!(await succeeds('python3', '-m', 'venv', environment.draft))) return undefined;
    const installing = ['-m', 'pip', 'install', '--quiet', ...packages];
    if (!(await succeeds(join(environment.draft, PYTHON), ...installing))) return undefined;
    environment.keep();
    return python;
  } finally {
    rmSync(environment.draft, { recursive: true, force: true });
  }
}

async function succeeds(file: string, ...args: string[]): Promise<boolean> {
  const options = { timeoutMs: INSTALL_LIMIT_MS };
  const result = await run(file, args, options).catch(() => undefined); // there is no such program
  return result?.code === 0;
}
