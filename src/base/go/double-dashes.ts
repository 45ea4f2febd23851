/**
 * Go programs take long options with one dash (`-config FILE`, `-version`). Gives such arguments
 * the second dash, so that old invocations go on working. Only names in `known` are touched;
 * nothing after `--` is.
 */
export function withDoubleDashes(args: readonly string[], known: ReadonlySet<string>): string[] {
  const end = args.indexOf('--');
  return args.map((arg, index) => {
    if (end >= 0 && index >= end) return arg;
    const name = /^-([a-z][a-z0-9-]+)(=|$)/i.exec(arg)?.[1];
    return name !== undefined && known.has(name) ? `-${arg}` : arg;
  });
}
