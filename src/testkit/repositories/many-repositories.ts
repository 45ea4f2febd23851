import { copyFileSync, linkSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gitOutput, initRepository } from './init-repository.ts';

/** Creates repositories with the same three commits, in directories of 100, and returns the last id. */
export function makeManyRepositories(storage: string, count: number): string {
  const template = join(storage, 'template.git');
  initRepository(template, { commits: 3 });
  gitOutput(template, ['-c', 'pack.writeReverseIndex=true', 'repack', '-adq']);
  gitOutput(template, ['pack-refs', '--all']);
  const packs = readdirSync(join(template, 'objects/pack'));
  for (let number = 0; number < count; number++) {
    const directory = join(storage, pathOfMany(number));
    for (const name of ['objects/pack', 'refs']) mkdirSync(join(directory, name), { recursive: true });
    for (const name of ['HEAD', 'config', 'packed-refs'])
      copyFileSync(join(template, name), join(directory, name));
    for (const name of packs)
      linkSync(join(template, 'objects/pack', name), join(directory, 'objects/pack', name));
  }
  return gitOutput(template, ['rev-parse', 'main']);
}

/** Returns the path of one of {@link makeManyRepositories} in its storage. */
export function pathOfMany(number: number): string {
  return `${number % 100}/${number}.git`;
}
