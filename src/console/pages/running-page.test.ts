import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PageAccess } from '#gateway/http/pages/page-source';
import type { ConsoleStatus } from '../server-status.ts';
import { runningPage } from './running-page.ts';

const CALL = {
  ...{ method: '/gitaly.RefService/ListRefs', age_ms: 1, repository: 'a.git', user: '', client: '' },
  processes: [],
};
const STATUS: ConsoleStatus = {
  ...{ uptime_seconds: 1, cpu_seconds: 1, memory_bytes: 1, queues: [], processes: [], caches: {} },
  git: { running_calls: 0, waiting_calls: 0 },
  call_count: 2,
  calls: [
    { ...CALL, correlation_id: 'own', worker: 0 },
    { ...CALL, correlation_id: 'other', worker: 1 },
  ],
};
const ACCESS: PageAccess = {
  isOpen: true,
  hasCredentials: false,
  signIn: { status: 401, headers: {}, body: '' },
  isAdministrator: async () => true,
  refusalAt: async () => undefined,
  mayWriteAt: async () => true,
};

test('calls of other processes are shown without a button, which would not end them', async () => {
  const visit = { access: ACCESS, isPost: false, query: new URLSearchParams(), signal: AbortSignal.any([]) };
  const { body } = await runningPage(visit, { status: () => STATUS, cancel: () => 0 });

  const forms = [...body.toString().matchAll(/action="([^"]*)"/g)].map(([, address]) => address);
  assert.deepEqual(forms, ['/-/console/running?cancel=own']);
});
