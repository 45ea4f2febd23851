import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { GIT_ENVIRONMENT, runProgram } from './run-program.ts';

/** A running `git cat-file --batch-command`. */
export interface RunningCatFile extends AsyncDisposable {
  /** Reads the contents of the objects once more, all with one `flush`. */
  read(): Promise<void>;
}

/**
 * Starts `git cat-file --batch-command` for some objects: the minimum cost of a server that reads
 * them through git, without the rest of the call.
 */
export async function runningCatFile(path: string, oids: readonly string[]): Promise<RunningCatFile> {
  const expectedBytes = (
    await runProgram('git', ['-C', path, 'cat-file', '--batch'], { input: `${oids.join('\n')}\n` })
  ).length;
  const input = `${oids.map((oid) => `contents ${oid}\n`).join('')}flush\n`;
  const child = spawn('git', ['-C', path, 'cat-file', '--batch-command', '--buffer'], {
    env: { ...process.env, ...GIT_ENVIRONMENT },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let left = 0;
  let done = (): void => {};
  child.stdout.on('data', ({ length }: Buffer) => {
    left -= length;
    if (left === 0) done();
  });
  return {
    read: () =>
      new Promise((resolve) => {
        left = expectedBytes;
        done = resolve;
        child.stdin.write(input);
      }),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await closed;
    },
  };
}
