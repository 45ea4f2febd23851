import { basename } from 'node:path';
import { type TraceEvent, type TraceFile, traceEvents, traceFields } from '../git-service/trace-file.ts';

const EVENTS = ['"event":"child_', '"category":"progress"'];
/** git's name of the region in which it searches for missing objects. */
const CONNECTIVITY = 'Checking connectivity';
/** A push starts some ten processes; more fields are of no use. */
const MAX_CHILDREN = 50;

/**
 * Returns the fields of the log about the processes of a push, with Gitaly's names. Call it when
 * git has ended.
 */
export function pushTraceFields(trace: TraceFile): Promise<Record<string, unknown>> {
  return traceFields(trace, 'receive-pack', processFields);
}

function processFields(text: string): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  const numbers = new Map<string, number>();
  let connectivity = 0;
  for (const event of traceEvents(text, EVENTS)) {
    const child = `${event.sid} ${event.child_id}`;
    if (event.event === 'child_start' && numbers.size < MAX_CHILDREN) {
      fields[`receive-pack.child-process.${numbers.size}.command`] = commandOf(event);
      numbers.set(child, numbers.size);
    }
    const number = numbers.get(child);
    if (event.event === 'child_exit' && number !== undefined)
      fields[`receive-pack.child-process.${number}.time-us`] = microseconds(event);
    if (event.event === 'region_leave' && event.label === CONNECTIVITY) {
      connectivity += microseconds(event);
      fields['receive-pack.connectivity-check-us'] = connectivity;
    }
  }
  return fields;
}

/** Returns the words of a command, or for a path the name of the file, as Gitaly does. */
function commandOf({ argv }: TraceEvent): string {
  const words = Array.isArray(argv) ? argv.join(' ') : '';
  return words.startsWith('/') ? basename(words) : words;
}

/** Returns the time since the process or the region began. */
function microseconds({ t_rel: seconds }: TraceEvent): number {
  return Math.floor(Number(seconds) * 1e6);
}
