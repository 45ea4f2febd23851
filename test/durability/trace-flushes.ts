import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';

/** A finished system call. */
export type FileEvent =
  | { readonly kind: 'flush'; readonly path: string }
  | { readonly kind: 'move' | 'link'; readonly from: string; readonly to: string };

/** Setting of the kernel: 0 lets a user trace all of the user's processes. */
const PTRACE_SCOPE = '/proc/sys/kernel/yama/ptrace_scope';
const CALLS = 'fsync,fdatasync,rename,renameat,renameat2,link,linkat';

/** Returns why system calls cannot be traced here; `undefined` if they can. */
export function reasonAgainstTracing(): string | undefined {
  const { error, status } = spawnSync('strace', ['-o', '/dev/null', 'true']);
  if (error !== undefined) return 'there is no strace';
  if (status !== 0) return 'strace may not trace processes';
  const isLimited = existsSync(PTRACE_SCOPE) && readFileSync(PTRACE_SCOPE, 'utf8').trim() !== '0';
  return isLimited && process.getuid?.() !== 0 ? 'a process may not trace its parent' : undefined;
}

/**
 * Returns the flushes and renames of this process and of the processes that it starts, while a
 * function runs.
 *
 * @param directory in which programs resolve relative paths: strace prints it for some calls only.
 */
export async function traceFlushes(directory: string, run: () => Promise<unknown>): Promise<FileEvent[]> {
  const scratch = makeScratchDirectory('strace');
  const output = join(scratch, 'output');
  const strace = spawn(
    'strace',
    ['-f', '-y', '-s', '4096', '-e', `trace=${CALLS}`, '-o', output, '-p', `${process.pid}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let messages = '';
  strace.stderr.on('data', (chunk: Buffer) => {
    messages += chunk;
  });
  const ended = once(strace, 'close');
  try {
    await until(
      () => messages.includes(`Process ${process.pid} attached`) || strace.exitCode !== null,
      () => messages,
    );
    if (strace.exitCode !== null) throw new Error(messages);
    await run();
  } finally {
    strace.kill('SIGINT');
    await ended;
  }
  const text = readFileSync(output, 'latin1');
  rmSync(scratch, { recursive: true });
  return parseTrace(text, directory);
}

/**
 * Parses the output of strace. Calls that others interrupt are printed in two parts; they count
 * when they end.
 */
function parseTrace(text: string, directory: string): FileEvent[] {
  const begun = new Map<string, string>();
  const events: FileEvent[] = [];
  for (const line of text.split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const [, start] = /^(.*) <unfinished \.\.\.>$/.exec(rest) ?? [];
    if (start !== undefined) {
      begun.set(pid, start);
      continue;
    }
    const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    const event = parseCall(end === undefined ? rest : `${begun.get(pid)}${end}`, directory);
    if (event !== undefined) events.push(event);
  }
  return events;
}

function parseCall(call: string, directory: string): FileEvent | undefined {
  const [, name = '', args = ''] = /^(\w+)\((.*)\)\s+= 0$/.exec(call) ?? [];
  if (name === 'fsync' || name === 'fdatasync') {
    const [, path = ''] = /^\d+<(.*)>$/.exec(args) ?? [];
    return { kind: 'flush', path };
  }
  const [from, to] = [...args.matchAll(/(?:\w+<(?<base>[^>]*)>, )?"(?<path>[^"]*)"/g)].map(({ groups }) =>
    normalize(groups?.path?.startsWith('/') ? groups.path : `${groups?.base ?? directory}/${groups?.path}`),
  );
  if (from === undefined || to === undefined) return undefined;
  return { kind: name.startsWith('link') ? 'link' : 'move', from, to };
}

/** Returns the files that got a name below `directory` without having been flushed before. */
export function unflushed(events: readonly FileEvent[], directory: string): string[] {
  const flushed = new Set<string>();
  const found: string[] = [];
  for (const event of events) {
    if (event.kind === 'flush') {
      flushed.add(event.path);
      continue;
    }
    const { kind, from, to } = event;
    flushed.delete(to); // an older file of that name
    for (const path of flushed) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      flushed.add(to + path.slice(from.length));
      if (kind === 'move') flushed.delete(path);
    }
    if (to.startsWith(`${directory}/`) && !flushed.has(to)) found.push(to.slice(directory.length + 1));
  }
  return found;
}
