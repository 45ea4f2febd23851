import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResult, run } from './run-program.ts';

/** Virtual environments, kept between runs; not under version control. */
const CACHE = join(import.meta.dirname, '../../.cache');
const INSTALL_LIMIT_MS = 5 * 60_000;

/** Returns a Python that has grpcio and grpcio-tools; `undefined` if there can be none. */
export function pythonWithGrpc(): Promise<string | undefined> {
  return pythonWith('grpc', ['grpcio==1.76.0', 'grpcio-tools==1.76.0']);
}

/** Returns a Python that has packages, which are installed once; `undefined` if there can be none. */
export async function pythonWith(name: string, packages: readonly string[]): Promise<string | undefined> {
  const place = join(CACHE, `python-${name}`);
  const found = join(place, 'bin/python');
  if (existsSync(join(place, 'complete'))) return found;
  const attempt = async (file: string, ...args: string[]): Promise<RunResult | undefined> =>
    run(file, args, { timeoutMs: INSTALL_LIMIT_MS }).catch(() => undefined); // there is no such program
  rmSync(place, { recursive: true, force: true });
  mkdirSync(join(place, '..'), { recursive: true });
  if ((await attempt('python3', '-m', 'venv', place))?.code !== 0) return undefined;
  if ((await attempt(found, '-m', 'pip', 'install', '--quiet', ...packages))?.code !== 0) return undefined;
  mkdirSync(join(place, 'draft'));
  renameSync(join(place, 'draft'), join(place, 'complete'));
  return found;
}
