import { gitOutput } from './init-repository.ts';

/** Creates a tag object. Its target need not exist. @returns its id. */
export function tagOf(path: string, oid: string, type: 'commit' | 'tag'): string {
  const text = `object ${oid}\ntype ${type}\ntag t\ntagger a <a@b> 1 +0000\n\nm\n`;
  return gitOutput(path, ['hash-object', '-t', 'tag', '-w', '--stdin', '--literally'], text);
}

/** Creates tags without references, the first one of a commit, each other one of the one before. */
export function nestedTags(path: string, commit: string, count: number): string[] {
  const tags: string[] = [];
  for (let made = 0; made < count; made++)
    tags.push(tagOf(path, tags.at(-1) ?? commit, made === 0 ? 'commit' : 'tag'));
  return tags;
}
