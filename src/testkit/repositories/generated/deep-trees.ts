import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { gitOutput } from '../init-repository.ts';

/**
 * Creates the commit `base`, and on it `ours` and `theirs`, which change the same file at this
 * depth of directories. Each commit has a branch.
 */
export async function nestDirectories(target: Repository, levels: number): Promise<void> {
  await using writer = new ObjectWriter(target, 'sha1');
  const commit = async (text: string, parents: readonly string[]): Promise<string> => {
    const blob = await writer.write('blob', Buffer.from(text));
    let oid = await writer.writeTree([{ mode: 0o100644, name: Buffer.from('f'), oid: blob }]);
    for (let level = 0; level < levels; level++)
      oid = await writer.writeTree([{ mode: 0o040000, name: Buffer.from('d'), oid }]);
    const lines = [`tree ${oid}`, ...parents.map((parent) => `parent ${parent}`)];
    const people = ['author', 'committer'].map((who) => `${who} C <c@x> 1600000000 +0000`);
    return await writer.write('commit', Buffer.from([...lines, ...people, '', 'm', ''].join('\n')));
  };
  const base = await commit('base\n', []);
  const tips = { base, ours: await commit('ours\n', [base]), theirs: await commit('theirs\n', [base]) };
  await writer.finish();
  for (const [name, oid] of Object.entries(tips))
    gitOutput(target.path, ['update-ref', `refs/heads/${name}`, oid]);
}
