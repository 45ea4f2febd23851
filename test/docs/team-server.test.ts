import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { followTeamServer } from './follow-team-server.ts';

test('docs/team-server.md makes a server that is backed up and restored, without privileges', {
  skip: NO_OPENSSH,
}, async () => {
  await followTeamServer();
});
