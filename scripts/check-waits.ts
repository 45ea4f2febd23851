/**
 * Checks that each wait of a number of milliseconds in tests has a comment, in its line or above
 * it, that gives the reason not to wait for a condition (`until`, `never`, `steady` of
 * testkit/until.ts), and that there are not more of them than before. In the source, a difference
 * of times that may be the delay of a timer has to come from `timeLeftMs`, as timers warn of
 * negative ones. It complains when it finds no file.
 */
import type { Findings, SourceTree } from './source-tree.ts';

/** Largest number of waits. Lower it when some go. */
const MAX_WAITS = 70;

const PLACES = '{src,test,scripts}/**/*.ts';
const IS_TEST = /\.test\.ts$|^test\/|^src\/testkit\//;
/** `delay(50)`, `sleep(2 * STEP_MS)`, `setTimeout(20)`, `setTimeout(callback, 20)`: with a digit. */
const WAIT = /\b(?:(?:delay|sleep|setTimeout)\(\d|setTimeout\([^,`'\d][^,`']*, \d)/;

/** The time left until a moment, and a difference in the call of a timer. */
const BARE_DELAY = /- (?:performance|Date)\.now\(\)|\b(?:delay|sleep|setTimeout|timeout)\([^;]*\.now\(\) - /;
const HELPER = 'src/base/async/time-left.ts';

export function checkWaits(tree: SourceTree): Findings {
  const all = tree.files(PLACES);
  const files = all.filter((file) => IS_TEST.test(file));
  const sources = all.filter((file) => file.startsWith('src/') && !IS_TEST.test(file) && file !== HELPER);
  const complaints: string[] = files.length === 0 ? ['saw no file'] : [];
  let waits = 0;
  for (const file of sources)
    for (const [index, line] of tree.text(file).split('\n').entries())
      if (BARE_DELAY.test(line))
        complaints.push(`${file}:${index + 1}: use timeLeftMs of #base/async/time-left`);
  for (const file of files) {
    const lines = tree.text(file).split('\n');
    for (const [index, line] of lines.entries()) {
      // In a string there is the program of a test.
      if (!WAIT.test(line) || /^\s*(?:\/\/|\*)|[`'].*(?:delay|sleep|setTimeout)\(/.test(line)) continue;
      waits++;
      if (!/\/\/ /.test(line) && !/^\s*\/\/ /.test(lines[index - 1] ?? ''))
        complaints.push(`${file}:${index + 1}: wait for a condition, or give the reason in a comment`);
    }
  }
  if (waits > MAX_WAITS) complaints.push(`${waits} waits by number; the limit is ${MAX_WAITS}`);
  return { complaints, summary: `${waits} in ${files.length} files` };
}
