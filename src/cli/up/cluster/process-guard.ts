import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Time for a graceful end: PostgreSQL may wait for itself for good (see `endLeftover`). */
const PATIENCE_SECONDS = 10;

/**
 * Ends the listed processes when its input ends, which happens with this process even if killed.
 * Its argument is the time for a graceful end.
 */
const SCRIPT = `
while read -r word entry; do
  case $word in
    add) all="$all $entry" ;;
    remove)
      rest=
      for each in $all; do [ "\${each%%:*}" = "$entry" ] || rest="$rest $each"; done
      all=$rest ;;
  esac
done
for each in $all; do kill -s "\${each##*:}" "\${each%%:*}"; done
count=0
while [ "$count" -lt "$1" ]; do
  rest=
  for each in $all; do kill -s 0 "\${each%%:*}" && rest="$rest $each"; done
  all=$rest
  [ "$all" ] || exit 0
  sleep 1
  count=$((count + 1))
done
for each in $all; do kill -s QUIT "\${each%%:*}"; done`;

/**
 * A shell that outlives this process for a moment, to end the processes that this one has started
 * and could not end itself.
 */
export class ProcessGuard implements AsyncDisposable {
  readonly #shell;
  readonly #exited: Promise<unknown>;

  constructor({ patienceSeconds = PATIENCE_SECONDS } = {}) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'gitaly-ts-guard', String(patienceSeconds)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      detached: true, // signals of the terminal do not reach it
    });
    this.#exited = once(this.#shell, 'exit');
    this.#exited.catch(() => {}); // without a shell there is no guard
    this.#shell.stdin.on('error', () => {});
  }

  /** @param signal for the case that this process is killed. */
  add(pid: number, signal: 'INT' | 'KILL'): void {
    this.#shell.stdin.write(`add ${pid}:${signal}\n`);
  }

  remove(pid: number): void {
    this.#shell.stdin.write(`remove ${pid}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell.stdin.end();
    await this.#exited.catch(() => {}); // without a shell there is no guard
  }
}
