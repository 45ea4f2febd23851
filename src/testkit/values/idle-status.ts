import type { CallStatus, ServerStatus } from '#calls/top/status';

/** The state of a server that serves no call. */
export const IDLE_STATUS: ServerStatus = {
  time: '2026-01-02T03:04:05.000Z',
  version: '1.0.0',
  git_version: '2.53.0',
  pid: 7,
  uptime_seconds: 3725,
  cpu_seconds: 1.26,
  memory_bytes: 100 << 20,
  call_count: 0,
  calls: [],
  queues: [],
  git: { running_calls: 0, waiting_calls: 0 },
  processes: [],
  blocked: [],
  caches: {},
  counters: [],
};

/** The state of a call that has just started. */
export const CALL_STATUS: CallStatus = {
  method: '/gitaly.CommitService/FindCommit',
  age_ms: 1,
  storage: 's',
  repository: 'a.git',
  project: '',
  user: '',
  client: '',
  remote: '',
  correlation_id: '',
  request_messages: 1,
  response_messages: 0,
  processes: [],
};
