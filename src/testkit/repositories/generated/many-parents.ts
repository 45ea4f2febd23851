import { gitOutput } from '../init-repository.ts';

const PARENTS = 1000;

/**
 * Adds commits without references, each with its predecessor as parent a thousand times. Returns
 * the id of the last one.
 *
 * @param first parent of the first one
 */
export function addManyParents(path: string, first: string, count: number): string {
  const tree = gitOutput(path, ['rev-parse', `${first}^{tree}`]);
  let tip = first;
  for (let number = 0; number < count; number++) {
    const person = `a <a@x> ${1_700_000_000 + number} +0000`;
    const parents = `parent ${tip}\n`.repeat(PARENTS);
    const text = `tree ${tree}\n${parents}author ${person}\ncommitter ${person}\n\n`;
    tip = gitOutput(path, ['hash-object', '-t', 'commit', '-w', '--stdin'], text);
  }
  return tip;
}
