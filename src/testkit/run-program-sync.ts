import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';
import { loadLibc } from '#git/command/spawner/libc';
import { type BytesResult, type ProgramOptions, programRequest } from './run-program.ts';

const spawner = await chooseSpawner();
const libc = spawner.name === 'posix_spawn' ? loadLibc() : undefined;

/** Size of a `struct rusage` in words; that of any Linux is shorter (144 bytes). */
const USAGE_WORDS = 32;

/**
 * Runs a program like `runBytes`, and blocks this process until it ends: a server in this process
 * does not respond meanwhile.
 */
export function runSync(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Omit<BytesResult, 'signal'> {
  const request = programRequest(file, args, options);
  if (libc === undefined) {
    const { env, cwd } = request;
    const input = options.input ?? '';
    const { status, ...output } = spawnSync(file, args, { env, cwd, input, maxBuffer: Infinity });
    return { code: status, stdout: output.stdout, stderr: output.stderr };
  }
  using stdin = new NamelessFile(options.input);
  using stdout = new NamelessFile();
  using stderr = new NamelessFile();
  const { pid } = spawner.spawn({ ...request, stdin: stdin.fd, stdout: stdout.fd, stderr: stderr.fd });
  const status = new Int32Array(1);
  // The spawner finds later that other code has waited for the process.
  const ended = libc.wait4(pid, status, 0, new BigInt64Array(USAGE_WORDS));
  if (ended !== pid) throw new Error(`${file}: nothing is known of its end`);
  const [word = 0] = status;
  return { code: (word & 0x7f) === 0 ? word >> 8 : null, stdout: stdout.bytes(), stderr: stderr.bytes() };
}

/**
 * Runs a program to its end and returns its standard output.
 *
 * @throws {Error} with the program's error output unless its exit code is 0.
 */
export function outputSync(file: string, args: readonly string[], options: ProgramOptions = {}): Buffer {
  const { code, stdout, stderr } = runSync(file, args, options);
  if (code !== 0) throw new Error(`${file} ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}

/** A file without a name. A pipe would have to be read while the program runs. */
class NamelessFile implements Disposable {
  readonly fd: number;

  constructor(data?: string | Uint8Array) {
    const path = join(tmpdir(), `gitaly-run-${randomUUID()}`);
    this.fd = openSync(path, 'wx+', 0o600);
    unlinkSync(path);
    const bytes = Buffer.from(data ?? '');
    // Writes at a position, so that the descriptor stays at the start, from where the program
    // reads.
    for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at, bytes.length - at, at);
  }

  bytes(): Buffer {
    const bytes = Buffer.alloc(fstatSync(this.fd).size);
    for (let at = 0; at < bytes.length; ) at += readSync(this.fd, bytes, at, bytes.length - at, at);
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
