/** A line of a stack, as Sentry wants it. */
export interface StackFrame {
  readonly function: string;
  readonly filename: string;
  readonly lineno: number;
  readonly colno: number;
  /** False for Node and packages. */
  readonly in_app: boolean;
}

const LINE = /^ {4}at (?:(?:async )?(?<name>.*?) \()?(?<file>.*?):(?<line>\d+):(?<column>\d+)\)?$/;
const MAX_FRAMES = 50;

/** Parses the stack of an error; the innermost call is last. Other lines are left out. */
export function stackFrames(stack: string): StackFrame[] {
  return stack
    .split('\n')
    .flatMap((text) => {
      const { name, file = '', line, column } = LINE.exec(text)?.groups ?? {};
      if (line === undefined) return [];
      const isOwn = !file.startsWith('node:') && !file.includes('/node_modules/');
      const place = { lineno: Number(line), colno: Number(column), in_app: isOwn };
      return [{ function: name ?? '<anonymous>', filename: file, ...place }];
    })
    .slice(0, MAX_FRAMES)
    .reverse();
}
