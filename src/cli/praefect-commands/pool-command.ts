import type { PraefectCommand } from './command.ts';

/** Records the members of object pools in the databases of the nodes. */
export const poolCommand: PraefectCommand = {
  name: 'pool',
  description: 'Find the members of object pools on the primaries and record them on all nodes.',
  example: 'pool',
  async run(input) {
    const { recordPools } = await import('./record-pools.ts');
    return await recordPools(input);
  },
};
