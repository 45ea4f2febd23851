import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { programCommand } from '#testkit/programs/program-command';
import { extent } from '#testkit/soak';
import { workAsTeam } from './work-as-team.ts';

const DAYS = extent('TEAM_DAYS', { short: 2, long: 10 });

test('five people lose no acknowledged push, and every refusal is in the log', {
  skip: NO_OPENSSH,
}, async (t) => {
  await workAsTeam(t, [process.execPath, ...programCommand('gitaly-ts')], DAYS);
});
