import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { lockObject } from '#object-store/file/lock-object';
import { run } from '../run-program.ts';

/** Built programs, by the hash of their sources; not under version control. */
const CACHE = join(import.meta.dirname, '../../../.cache/go');
const BUILD_LIMIT_MS = 10 * 60 * 1000;

/**
 * Builds the Go module in a directory and returns the path of the program; `undefined` if Go is not
 * installed. It is built once for each state of its sources: a large one takes minutes of CPU time.
 *
 * @param options.package a program of another module that `go.mod` requires; default: the module's.
 * @throws {Error} with the compiler's output.
 */
export async function goProgram(
  source: string,
  options: { tags?: string; package?: string } = {},
): Promise<string | undefined> {
  if (spawnSync('go', ['version']).status !== 0) return undefined;
  const hash = createHash('sha256').update(options.tags ?? '');
  for (const name of readdirSync(source).sort()) {
    if (/\.go$|^go\.(mod|sum)$/.test(name)) hash.update(name).update(readFileSync(join(source, name)));
  }
  const program = join(CACHE, `${basename(source)}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;

  mkdirSync(CACHE, { recursive: true });
  await using _lock = await lockObject(program, AbortSignal.timeout(BUILD_LIMIT_MS));
  if (existsSync(program)) return program;
  const draft = `${program}.${process.pid}`;
  const target = options.package ?? '.';
  const flags = options.tags === undefined ? [] : ['-tags', options.tags];
  const { code, stderr } = await run('go', ['build', ...flags, '-o', draft, target], {
    cwd: source,
    timeoutMs: BUILD_LIMIT_MS,
  });
  if (code !== 0) throw new Error(`go build in ${basename(source)} failed: ${stderr}`);
  renameSync(draft, program);
  return program;
}
