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

/**
 * Gives Go's flags without a value the one that they represent: `-f` is `--f=true`. Go takes a
 * value only behind `=`, so what follows such a flag is never its value. Only names in `flags` are
 * touched; nothing after `--` is.
 */
export function withFlagValues(args: readonly string[], flags: ReadonlySet<string>): string[] {
  const end = args.indexOf('--');
  return args.map((arg, index) => {
    if (end >= 0 && index >= end) return arg;
    const [, name = '', value = ''] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/is.exec(arg) ?? [];
    return flags.has(name) ? `--${name}=${value || 'true'}` : arg;
  });
}
