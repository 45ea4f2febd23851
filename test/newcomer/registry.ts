import { join } from 'node:path';
import { run } from '#testkit/run-program';

export const ROOT = join(import.meta.dirname, '../..');
/** Longest time for npm's work, which includes downloads. */
const NPM_LIMIT_MS = 10 * 60_000;
const LOOK_UP_LIMIT_MS = 30_000;

/** npm with this Node, whatever Node comes first on the PATH. */
const ENVIRONMENT = { PATH: `${join(process.execPath, '..')}:${process.env.PATH ?? ''}` };

let reachable: Promise<boolean> | undefined;

/** Returns the reason to skip a test that downloads packages; `false` if npm's registry responds. */
export async function offline(): Promise<string | false> {
  reachable ??= run('npm', ['view', '@bufbuild/protobuf', 'version', '--fetch-retries=0'], {
    env: ENVIRONMENT,
    timeoutMs: LOOK_UP_LIMIT_MS,
  }).then(({ code }) => code === 0);
  return (await reachable) ? false : "npm's registry cannot be reached";
}

/** Runs npm in a folder. @throws {Error} with its output if it fails */
export async function npm(folder: string, ...args: readonly string[]): Promise<string> {
  return await succeeded('npm', args, folder);
}

/** Runs a program and returns its output. @throws {Error} with all output if it fails */
export async function succeeded(program: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, {
    cwd,
    env: ENVIRONMENT,
    timeoutMs: NPM_LIMIT_MS,
  });
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  return stdout;
}
