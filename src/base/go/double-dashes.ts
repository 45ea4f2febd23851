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

const TRUE: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/**
 * Gives Go's flags the form of options without a value: `--f=true` is `--f`, and `--f=false`
 * removes those before it. Other values stay as they are. Only names in `flags` are touched;
 * nothing after `--` is.
 */
export function withoutFlagValues(args: readonly string[], flags: ReadonlySet<string>): string[] {
  const end = args.indexOf('--');
  const options: string[] = [];
  for (const arg of args.slice(0, end === -1 ? args.length : end)) {
    const [, option = '', value = ''] = /^(--[a-z][a-z0-9-]*)=(\w+)$/i.exec(arg) ?? [];
    const isFlag = flags.has(option.slice(2));
    if (isFlag && FALSE.has(value))
      options.splice(0, options.length, ...options.filter((each) => each !== option));
    else options.push(isFlag && TRUE.has(value) ? option : arg);
  }
  return end === -1 ? options : [...options, ...args.slice(end)];
}
