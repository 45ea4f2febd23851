import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResult, run } from './run-program.ts';

/** The virtual environment, kept between runs; not under version control. */
const PLACE = join(import.meta.dirname, '../../.cache/python-grpc');
const PACKAGES = ['grpcio==1.76.0', 'grpcio-tools==1.76.0'];
const INSTALL_LIMIT_MS = 5 * 60_000;

/** Returns a Python that has grpcio and grpcio-tools; `undefined` if there can be none. */
export async function pythonWithGrpc(): Promise<string | undefined> {
  const found = join(PLACE, 'bin/python');
  if (existsSync(join(PLACE, 'complete'))) return found;
  const attempt = async (file: string, ...args: string[]): Promise<RunResult | undefined> =>
    run(file, args, { timeoutMs: INSTALL_LIMIT_MS }).catch(() => undefined); // there is no such program
  rmSync(PLACE, { recursive: true, force: true });
  mkdirSync(join(PLACE, '..'), { recursive: true });
  if ((await attempt('python3', '-m', 'venv', PLACE))?.code !== 0) return undefined;
  if ((await attempt(found, '-m', 'pip', 'install', '--quiet', ...PACKAGES))?.code !== 0) return undefined;
  mkdirSync(join(PLACE, 'draft'));
  renameSync(join(PLACE, 'draft'), join(PLACE, 'complete'));
  return found;
}
