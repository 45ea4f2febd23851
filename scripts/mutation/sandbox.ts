/** Runs tests on a copy of the project that can be changed, and where they can harm nothing else. */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { findPackagedPostgres } from '#praefect/database/packaged-postgres';
import { afterRunning } from './running-time.ts';

export type Outcome = 'passed' | 'failed' | 'timed out';

export interface RunOptions {
  readonly timeoutMs: number;
  /** Directory below the copy into which V8 writes the coverage of all processes. */
  readonly coverage?: string;
}

/**
 * Everything is read-only but the copy and an empty /tmp in memory, and no process outside is
 * visible: a changed path may be removed and a changed process id may be killed. The project, `$1`,
 * with the copy, `$2`, may be below /tmp: their descriptors lead to them when /tmp is empty. The
 * first process waits, so that orphans are reaped.
 */
const ENTER = `
set -e
exec 8<"$1" 9<"$2"
mount -t tmpfs -o size=4g tmpfs /tmp
mkdir -p "$1"
mount --no-canonicalize --bind /proc/self/fd/8 "$1"
mount -o remount,bind,ro "$1"
mount --no-canonicalize --bind /proc/self/fd/9 "$2"
mount -o remount,bind,ro /
exec 8<&- 9<&-
cd "$2"; shift 2
"$@"
exit $?`;

/** Matches the line of a failed test in the output of the runner. */
const FAILURE = /^\s*not ok \d+(?!.* # TODO)/;

/** A copy of the project's files. Disposing removes it. */
export class Sandbox implements Disposable {
  readonly directory: string;
  readonly #root: string;
  /** Unchanged sources of changed files: the project may change meanwhile. */
  readonly #originals = new Map<string, string>();
  #stop = (): void => {};

  /** Copies the files that git tracks or would track; installed packages and built programs are shared. */
  constructor(root: string, directory: string) {
    this.directory = directory;
    this.#root = root;
    rmSync(directory, { recursive: true, force: true });
    const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(root, name)))) {
      mkdirSync(dirname(join(directory, file)), { recursive: true });
      cpSync(join(root, file), join(directory, file), { verbatimSymlinks: true });
    }
    for (const shared of ['node_modules', '.node', 'dist'])
      if (existsSync(join(root, shared))) symlinkSync(join(root, shared), join(directory, shared));
    findPackagedPostgres(); // adds links to a package, which is read-only for the tests
  }

  /** Returns the unchanged source of a file. */
  original(file: string): string {
    return this.#originals.get(file) ?? readFileSync(join(this.directory, file), 'utf8');
  }

  /** Changes a file of the copy until {@link restore}. */
  change(file: string, source: string): void {
    this.#originals.set(file, this.original(file));
    writeFileSync(join(this.directory, file), source);
  }

  restore(file: string): void {
    writeFileSync(join(this.directory, file), this.original(file));
    this.#originals.delete(file);
  }

  /**
   * Runs one test file up to its first failure. Processes that it leaves behind are killed. A test
   * that fails while all processes were stopped for a time runs again.
   */
  async run(file: string, options: RunOptions): Promise<Outcome> {
    const { coverage, timeoutMs } = options;
    const node = [process.execPath, '--conditions=source', '--test-reporter=tap', file];
    const child = spawn(
      'setpriv', // nothing is left when this program is killed
      [
        ...['--pdeathsig', 'KILL'],
        'unshare',
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        'sh',
        '-c',
        ENTER,
        'sh',
        this.#root,
        this.directory,
        ...node,
      ],
      {
        cwd: this.directory,
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, NODE_V8_COVERAGE: coverage, TMPDIR: '/tmp' },
      },
    );
    this.#stop = () => child.kill('SIGKILL');
    let isLate = false;
    let hasFailed = false;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!FAILURE.test(line)) return;
      hasFailed = true;
      this.#stop(); // the next test may wait for what the mutant never does
    });
    const time = afterRunning(timeoutMs, () => {
      isLate = true;
      this.#stop();
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const { wasStopped } = time;
    time.end();
    if (code === 0 && !hasFailed) return 'passed';
    if (wasStopped) return await this.run(file, options);
    return isLate && !hasFailed ? 'timed out' : 'failed';
  }

  [Symbol.dispose](): void {
    this.#stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
