import { test } from 'node:test';
import { followTeamServer } from './follow-team-server.ts';

test('docs/team-server.md makes a server that is backed up and restored, without privileges', async () => {
  await followTeamServer();
});
