import { readdirSync } from 'node:fs';
import { normalize } from 'node:path';
import { trace } from '#testkit/measure/strace';

/** A finished system call. */
export type FileEvent =
  | { readonly kind: 'flush'; readonly path: string }
  | { readonly kind: 'move' | 'link'; readonly from: string; readonly to: string };

const CALLS = 'fsync,fdatasync,rename,renameat,renameat2,link,linkat';

/**
 * Returns the flushes and renames of this process and of the processes that it starts, while a
 * function runs.
 *
 * @param directory in which programs resolve relative paths: strace prints it for some calls only.
 */
export async function traceFlushes(directory: string, run: () => Promise<unknown>): Promise<FileEvent[]> {
  const options = ['-y', '-s', '4096', '-e', `trace=${CALLS}`];
  const text = await trace([process.pid], options, run);
  return parseTrace(text, directory).flatMap(filesOf);
}

/** Returns the moves of the files in a directory of loose objects that is moved as a whole. */
function filesOf(event: FileEvent): FileEvent[] {
  if (event.kind !== 'move' || !/\/objects\/[0-9a-f]{2}$/.test(event.to)) return [event];
  const { from, kind, to } = event;
  return readdirSync(to).map((name) => ({ kind, from: `${from}/${name}`, to: `${to}/${name}` }));
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
