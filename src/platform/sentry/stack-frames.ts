/** A line of a stack, in Sentry's format. */
export interface StackFrame {
  readonly function: string;
  readonly filename: string;
  readonly lineno: number;
  readonly colno: number;
  /** False for Node and packages. */
  readonly in_app: boolean;
}

const START = '    at ';
const POSITION = /:(\d+):(\d+)\)?$/;
const MAX_FRAMES = 50;

/** Parses the stack of an error; the innermost call is last. Other lines are left out. */
export function stackFrames(stack: string): StackFrame[] {
  return stack
    .split('\n')
    .flatMap((text) => {
      const [suffix, line, column] = (text.startsWith(START) && POSITION.exec(text)) || [];
      if (suffix === undefined) return [];
      const call = text.slice(START.length, -suffix.length);
      const at = call.indexOf(' (');
      const name = at === -1 ? undefined : call.slice(0, at).replace(/^async /, '');
      const file = at === -1 ? call : call.slice(at + 2);
      const isOwn = !file.startsWith('node:') && !file.includes('/node_modules/');
      const place = { lineno: Number(line), colno: Number(column), in_app: isOwn };
      return [{ function: name ?? '<anonymous>', filename: file, ...place }];
    })
    .slice(0, MAX_FRAMES)
    .reverse();
}
