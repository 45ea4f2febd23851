/** Lines in which a shell script may hand itself over to another interpreter. */
const EXEC_LINES = 5;
const EXEC = /exec (\w+)/;
const PYTHON_VERSION = /python\d\.\d+/;
/**
 * Words after `env` that are not the program: options, words with a dash (as in go-enry), and
 * variables.
 */
const ENV_WORD = /-|[^\t\n\f\r ]=[^\t\n\f\r ]/;
const SPACES = /[\t\n\v\f\r ]+/;

/**
 * Returns the name of the program in the first line of a script (`#!/usr/bin/env python3`); empty
 * when there is none.
 */
export function interpreterOf(content: string): string {
  const lines = content.split('\n', EXEC_LINES);
  const [line = ''] = lines;
  if (!line.startsWith('#!')) return '';
  const words = line
    .slice(2)
    .split(SPACES)
    .filter((word) => word !== '');
  let name = baseName(words[0] ?? '');
  if (name === 'env') {
    let at = 1;
    while (at < words.length - 1 && ENV_WORD.test(words[at] ?? '')) at++;
    name = baseName(words[at] ?? '');
  }
  if (name === 'sh') name = lines.map(programInExec).find((each) => each !== undefined) ?? 'sh';
  if (PYTHON_VERSION.test(name)) name = name.slice(0, name.indexOf('.'));
  // It runs several languages; the option selects one.
  return name === 'osascript' && line.includes('-l') ? '' : name;
}

/** Returns the program of `exec program … $0 … $@`, with at least one character in each gap. */
function programInExec(line: string): string | undefined {
  const script = line.lastIndexOf('$0', line.lastIndexOf('$@') - 3);
  const found = script < 1 ? null : EXEC.exec(line.slice(0, script - 1));
  return found?.[1];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
